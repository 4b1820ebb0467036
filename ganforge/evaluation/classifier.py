"""A small classifier trained on the real classes: features for grey and digit-like sets, and the judge of classes.

It is trained once for a dataset and kept beside its features; what it reaches on pictures it was not trained on goes
into the protocol of every score that it makes.
"""

import hashlib
import json
import os
from collections.abc import Callable
from itertools import product
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
    """Three convolutions and two linear layers on 32 pixels.

    labels: the class names that the logits are of. accuracy: the share of held-back reals given their class (of stacks,
    which are new combinations of pictures that it may have seen, that is no measure of unseen ones). stack: 1, or how
    many channels are judged alone, one digit of the class each: "731" is a 7, a 3 and a 1.
    """

    name = CLASSIFIER

    def __init__(
        self, network: nn.Sequential, labels: tuple[str, ...], accuracy: float, device: torch.device, stack: int = 1
    ) -> None:
        self._network = network.to(device).eval().requires_grad_(False)
        self._stack, self.labels, self.accuracy = stack, labels, accuracy
        self.features, self.classes = WIDTHS[-1] * stack, len(labels)
        alone = f", {stack} channels each alone" if stack > 1 else ""
        self.prepares = f"antialiased bilinear to {SIDE}x{SIDE}{alone}"
        digest = hashlib.sha256()
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        self.digest = digest.hexdigest()

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        inputs = _inputs(pictures)
        if self._stack == 1:
            features = self._network[:-1](inputs)
            return features, self._network[-1](features)
        features = self._network[:-1](inputs.flatten(0, 1).unsqueeze(1))
        logs = functional.log_softmax(self._network[-1](features), dim=1)
        logs = logs.reshape(len(pictures), self._stack, -1)
        whole = logs[:, 0]
        for channel in range(1, self._stack):
            whole = (whole.unsqueeze(2) + logs[:, channel].unsqueeze(1)).flatten(1)
        return features.reshape(len(pictures), -1), whole


def stacked(source: PictureSource) -> int:
    """How many channels of a source are pictures of their own: its class names are then all words of as many digits.

    As the 1,000 classes 000 to 999 of stacked digits (Metz et al. 2017, "Unrolled Generative Adversarial Networks",
    section 3.3.1). 1 for all other sources.
    """
    channels, classes = source.shape[0], source.classes
    base = round(len(classes) ** (1 / channels))
    if channels == 1 or not 2 <= base <= 10 or base**channels != len(classes):
        return 1
    words = ("".join(word) for word in product("0123456789"[:base], repeat=channels))
    return channels if tuple(words) == classes else 1


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
    network = _train(reals, device, seed, advance)
    judge = Classifier(network, reals.classes, 0.0, device, stacked(reals))
    judge.accuracy = _accuracy(judge, reals, device, seed)
    if file is not None:
        _write(file, network, judge.accuracy)
    return judge


def _read(file: Path, reals: PictureSource, device: torch.device) -> Classifier | None:
    network = _network_for(reals)
    try:
        with safe_open(file, framework="pt") as opened:
            accuracy = float(json.loads((opened.metadata() or {})["ganforge"])["accuracy"])
            network.load_state_dict({name: opened.get_tensor(name) for name in opened.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None
    return Classifier(network, reals.classes, accuracy, device, stacked(reals))


def _write(file: Path, network: nn.Sequential, accuracy: float) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, partial, {"ganforge": json.dumps({"accuracy": accuracy})})
        partial.replace(file)
    except OSError:
        return


def _network_for(reals: PictureSource) -> nn.Sequential:
    stack = stacked(reals)
    return _network(reals.shape[0] // stack, round(len(reals.classes) ** (1 / stack)))


def _split(count: int) -> int:
    """How many of `count` shuffled pictures, the first ones, are held back."""
    return max(1, round(HELD_BACK * count))


def _train(reals: PictureSource, device: torch.device, seed: int, advance: Advance) -> nn.Sequential:
    """A trained network. The caller's random state is left as it was."""
    ordered, stack = shuffled(reals, seed), stacked(reals)
    assert ordered.labels is not None
    batch, held = BATCH // stack, _split(len(ordered))
    train = len(ordered) - held
    steps = int(np.clip(EPOCHS * train // batch, LEAST_STEPS, STEPS))
    random = np.random.default_rng((seed, 3))
    order: NDArray[np.int64] = np.zeros(0, np.int64)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.enable_grad():
        torch.manual_seed(seed)
        network = _network_for(reals).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for step in range(steps):
            while len(order) < batch:
                order = np.concatenate([order, held + random.permutation(train).astype(np.int64)])
            chosen, order = order[:batch], order[batch:]
            inputs = _inputs(torch.from_numpy(ordered.take(chosen)).to(device))
            labels = torch.from_numpy(ordered.labels[chosen]).to(device)
            if stack > 1:
                inputs, labels = inputs.flatten(0, 1).unsqueeze(1), _digits(labels, len(reals.classes), stack)
            loss = functional.cross_entropy(network(inputs), labels)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward([loss])
            optimizer.step()
            rate.step()
            advance(step + 1, steps)
    return network


def _digits(labels: Tensor, classes: int, stack: int) -> Tensor:
    """Classes (N,) of stacked pictures as the class of each channel (N * stack,), first channel first."""
    base = round(classes ** (1 / stack))
    return torch.stack([labels // base**place % base for place in reversed(range(stack))], dim=1).flatten()


@torch.no_grad()
def _accuracy(judge: Classifier, reals: PictureSource, device: torch.device, seed: int) -> float:
    """Share of the pictures held back that are given their class."""
    ordered = shuffled(reals, seed)
    assert ordered.labels is not None
    right, held = 0, _split(len(ordered))
    for start in range(0, held, BATCH):
        rows = np.arange(start, min(start + BATCH, held), dtype=np.int64)
        _, logits = judge(torch.from_numpy(ordered.take(rows)).to(device))
        right += int((logits.argmax(dim=1).cpu().numpy() == ordered.labels[rows]).sum())
    return right / held
