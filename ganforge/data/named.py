"""Sets that are asked for by name: `torchvision:cifar10` and the others of torchvision's downloaders, and `demo`.

torchvision is imported only to download; what it left on the disk is read by our own readers.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganforge.data import arrays, cifar, idx, stl10
from ganforge.data.sources import Entry, FolderReader, Source
from ganforge.errors import DataError, unknown

DEMO = "demo"
PREFIX = "torchvision:"
DEMO_SIZE = 64  # pixels a side: what `demo` is drawn at unless --max-res says otherwise


@dataclass(frozen=True)
class DemoReader:
    """Draws the built-in faces; a place is the face's number."""

    seed: int
    size: int

    def read(self, entry: Entry) -> Image.Image:
        from ganforge.data.demo import render_face

        return render_face(self.seed, entry.place, self.size)[0]


def demo_source(count: int, seed: int, size: int) -> Source:
    """The built-in set of drawn faces, labelled by their hair."""
    from ganforge.data.demo import HAIR_COLOURS
    from ganforge.data.faces.traits import choose

    entries = [Entry(f"{index:08d}", index, HAIR_COLOURS[choose(seed, index).label]) for index in range(count)]
    reader = DemoReader(seed, size)
    return Source(f"the built-in set, {count} faces drawn with seed {seed}", entries, reader, classes=HAIR_COLOURS)


@dataclass(frozen=True)
class Named:
    """A set of torchvision: its class there, the folder below the root that it fills, and how that is read.

    `read` takes (folder, split, scratch); `downloads` are the `split` arguments to download everything that is read.
    """

    dataset: str
    folder: str
    read: Callable[[Path, str, Path], Source]
    downloads: tuple[dict[str, object], ...] = ({},)


def torchvision_source(name: str, root: Path, split: str, scratch: Path) -> Source:
    """A set of torchvision, downloaded to `root` unless it is there.

    Raises:
        DataError: there is no such set, or it is not there and cannot be downloaded.
    """
    if name not in NAMED:
        raise DataError(unknown("set of torchvision", name, NAMED))
    named = NAMED[name]
    folder = root / named.folder
    if not folder.is_dir():
        _download(name, named, root)
    if not folder.is_dir():
        raise DataError(f"{PREFIX}{name} was downloaded, but {folder} is not there; prepare its folder itself")
    source = named.read(folder, split, scratch)
    source.notes.append(f"read from {folder}")
    return source


def _download(name: str, named: Named, root: Path) -> None:
    try:
        kind = getattr(importlib.import_module("torchvision.datasets"), named.dataset)
        for arguments in named.downloads:
            kind(root=str(root), download=True, **arguments)
    except (OSError, RuntimeError, ImportError, ValueError) as error:  # URLError is an OSError
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{PREFIX}{name} cannot be downloaded ({reason}); without a network, copy it to {root / named.folder} or "
            f"give the folder that holds {named.folder} as --root"
        ) from error


def _idx_folder(folder: Path, split: str, scratch: Path) -> Source:
    return idx.idx_source(idx.idx_files(folder), split, scratch)


def _fashion(folder: Path, split: str, scratch: Path) -> Source:
    source = _idx_folder(folder, split, scratch)
    source.entries = [
        entry._replace(label=FASHION[int(entry.label)]) if entry.label else entry for entry in source.entries
    ]
    source.classes = FASHION
    return source


def _cifar(folder: Path, split: str, scratch: Path) -> Source:
    return cifar.cifar_source(cifar.cifar_files(folder.iterdir()), split, scratch, str(folder))


def _stl(folder: Path, split: str, scratch: Path) -> Source:
    return stl10.stl_source(stl10.stl_files(folder.iterdir()), split, str(folder))


def _flowers(folder: Path, split: str, scratch: Path) -> Source:
    """Oxford 102 Flowers: labels and parts come as MATLAB files, numbered from 1."""
    from scipy.io import loadmat

    labels = loadmat(str(folder / "imagelabels.mat"))["labels"][0]
    parts = loadmat(str(folder / "setid.mat"))
    chosen, note = arrays.choose_split("all" if split == "auto" else split, FLOWER_PARTS, str(folder))
    if split == "auto":
        note = "took all parts, train, validation and test (--split train takes one)"
    numbers = sorted(int(number) for part in chosen for number in parts[FLOWER_PARTS[part]][0])
    entries = [Entry(f"jpg/image_{number:05d}.jpg", None, str(labels[number - 1])) for number in numbers]
    classes = tuple(str(number) for number in range(1, 103))
    return Source(
        f"Oxford flowers in {folder}", entries, FolderReader(str(folder)), classes=classes, notes=[note] if note else []
    )


def _food(folder: Path, split: str, scratch: Path) -> Source:
    """Food-101: pictures in class folders, parts as lists of names."""
    available = [part for part in ("train", "test") if (folder / "meta" / f"{part}.txt").exists()]
    chosen, note = arrays.choose_split(split, available, str(folder))
    names = sorted(
        line
        for part in chosen
        for line in (folder / "meta" / f"{part}.txt").read_text(encoding="utf-8").split()
        if line
    )
    entries = [Entry(f"images/{name}.jpg", None, name.split("/")[0]) for name in names]
    return Source(f"Food-101 in {folder}", entries, FolderReader(str(folder)), notes=[note] if note else [])


FASHION = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
FLOWER_PARTS = {"train": "trnid", "validation": "valid", "test": "tstid"}

NAMED = {
    "mnist": Named("MNIST", "MNIST/raw", _idx_folder),
    "fashion-mnist": Named("FashionMNIST", "FashionMNIST/raw", _fashion),
    "cifar10": Named("CIFAR10", "cifar-10-batches-py", _cifar),
    "stl10": Named("STL10", "stl10_binary", _stl),
    "flowers102": Named("Flowers102", "flowers-102", _flowers),
    "food101": Named("Food101", "food-101", _food),
}
