"""A small classifier trained on the real classes: features for grey and digit-like sets, and the judge of classes.

It is trained once for a dataset and kept beside its features; what it reaches on pictures it was not trained on goes
into the protocol of every score that it makes.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from ganforge.errors import EvaluationError
from ganforge.evaluation.extractors import CLASSIFIER, Extractor
from ganforge.evaluation.pictures import PictureSource, shuffled

SIDE = 32
BATCH = 64
STEPS = 1_500
LEAST_STEPS = 300
EPOCHS = 20
RATE = 2e-3
HELD_BACK = 0.1
WIDTHS = (32, 64, 128)
VERSION = 1

Advance = Callable[[int, int], None]


class Classifier(Extractor):
    """Three convolutions and two linear layers on 32 pixels. Raises nothing; `accuracy` is on held-back reals."""

    name = CLASSIFIER
    features = WIDTHS[-1]

    def __init__(self, network: nn.Sequential, classes: tuple[str, ...], accuracy: float, device: torch.device) -> None:
        self._network = network.to(device).eval().requires_grad_(False)
        self.labels, self.accuracy, self.classes = classes, accuracy, len(classes)
        self.prepares = f"antialiased bilinear to {SIDE}x{SIDE}"
        digest = hashlib.sha256()
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        self.digest = digest.hexdigest()

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        features = self._network[:-1](_inputs(pictures))
        return features, self._network[-1](features)


def _inputs(pictures: Tensor) -> Tensor:
    inputs = pictures.float()
    if tuple(inputs.shape[2:]) != (SIDE, SIDE):
        inputs = functional.interpolate(inputs, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    return inputs / 127.5 - 1


def _network(channels: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in WIDTHS:
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        channels = width
    flat = WIDTHS[-1] * (SIDE // 2 ** len(WIDTHS)) ** 2
    layers += [nn.Flatten(), nn.Dropout(0.25), nn.Linear(flat, WIDTHS[-1]), nn.ReLU()]
    return nn.Sequential(nn.Sequential(*layers), nn.Linear(WIDTHS[-1], classes))


def trained_classifier(
    reals: PictureSource,
    cache: Path | None,
    device: torch.device,
    *,
    seed: int = 0,
    advance: Advance = lambda done, total: None,
) -> Classifier:
    """The classifier of a labelled source: from `cache` where it was trained before, else trained now and kept.

    A tenth of the pictures is held back to measure it. Raises EvaluationError where there are no labels.
    """
    if reals.labels is None or len(reals.classes) < 2:
        raise EvaluationError(
            f"{reals.name}: has no classes, which the classifier is trained on; choose another --extractor, or other"
            " --metrics"
        )
    key = hashlib.sha256(f"{VERSION} {reals.digest} {seed}".encode()).hexdigest()[:16]
    file = None if cache is None else cache / f"classifier-{key}.safetensors"
    if file is not None and (kept := _read(file, reals, device)) is not None:
        return kept
    network, accuracy = _train(reals, device, seed, advance)
    if file is not None:
        _write(file, network, accuracy)
    return Classifier(network, reals.classes, accuracy, device)


def _read(file: Path, reals: PictureSource, device: torch.device) -> Classifier | None:
    network = _network(reals.shape[0], len(reals.classes))
    try:
        with safe_open(file, framework="pt") as opened:
            accuracy = float(json.loads((opened.metadata() or {})["ganforge"])["accuracy"])
            network.load_state_dict({name: opened.get_tensor(name) for name in opened.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None
    return Classifier(network, reals.classes, accuracy, device)


def _write(file: Path, network: nn.Sequential, accuracy: float) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, partial, {"ganforge": json.dumps({"accuracy": accuracy})})
        partial.replace(file)
    except OSError:
        return


def _train(reals: PictureSource, device: torch.device, seed: int, advance: Advance) -> tuple[nn.Sequential, float]:
    """A trained network and its accuracy on the pictures held back. The caller's random state is left as it was."""
    ordered = shuffled(reals, seed)
    assert ordered.labels is not None
    held = max(1, round(HELD_BACK * len(ordered)))
    train = len(ordered) - held
    steps = int(np.clip(EPOCHS * train // BATCH, LEAST_STEPS, STEPS))
    random = np.random.default_rng((seed, 3))
    order: NDArray[np.int64] = np.zeros(0, np.int64)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.enable_grad():
        torch.manual_seed(seed)
        network = _network(reals.shape[0], len(reals.classes)).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for step in range(steps):
            while len(order) < min(BATCH, train):
                order = np.concatenate([order, held + random.permutation(train).astype(np.int64)])
            chosen, order = order[:BATCH], order[BATCH:]
            pictures = torch.from_numpy(ordered.take(chosen)).to(device)
            labels = torch.from_numpy(ordered.labels[chosen]).to(device)
            loss = functional.cross_entropy(network(_inputs(pictures)), labels)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward([loss])
            optimizer.step()
            rate.step()
            advance(step + 1, steps)
    return network, _accuracy(network.eval(), ordered, held, device)


@torch.no_grad()
def _accuracy(network: nn.Sequential, ordered: PictureSource, count: int, device: torch.device) -> float:
    """Share of the first `count` pictures that are given their class."""
    assert ordered.labels is not None
    right = 0
    for start in range(0, count, BATCH):
        rows = np.arange(start, min(start + BATCH, count), dtype=np.int64)
        logits = network(_inputs(torch.from_numpy(ordered.take(rows)).to(device)))
        right += int((logits.argmax(dim=1).cpu().numpy() == ordered.labels[rows]).sum())
    return right / count
