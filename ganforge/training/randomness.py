"""Randomness as a function of what it is for: no generator state is ever saved, and a resumed run is the same run."""

import hashlib

import torch


def seed_for(*parts: int | str) -> int:
    """A 63-bit seed from what it is for, as (run's seed, step, purpose)."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def generator_for(*parts: int | str) -> torch.Generator:
    """A generator on the CPU: the same numbers whatever device the networks are on."""
    return torch.Generator().manual_seed(seed_for(*parts))
