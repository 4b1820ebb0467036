"""From what the user typed to a source of pictures."""

import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ganforge.data import archives, cifar, idx, named, npy, stl10
from ganforge.data.dataset import FACTS
from ganforge.data.sources import Source, folder_source
from ganforge.errors import DataError

ENDINGS = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|npy|npz|gz|bz2|xz|zst)$", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """What is to be opened: a path or a name, and the options that some sources have."""

    source: str
    split: str = "auto"
    root: Path = Path("~/.cache/ganforge")
    count: int = 5000
    seed: int = 0
    demo_size: int = named.DEMO_SIZE


def default_name(source: str) -> str:
    """The name of the dataset that is made of a source."""
    if source.startswith(named.PREFIX):
        return source.removeprefix(named.PREFIX)
    name = Path(source).expanduser().resolve().name
    while Path(source).is_file() and ENDINGS.search(name):
        name = ENDINGS.sub("", name)
    match = idx.IDX_IMAGES.match(name)
    if match and Path(source).is_file():
        name = Path(source).resolve().parent.name
    name = re.sub(r"[\x00-\x1f\x7f/\\:]+", "-", name).strip(" .")
    return name or "pictures"


def open_source(wanted: Wanted, scratch: Path) -> Source:
    """List the pictures of a source.

    Args:
        wanted: which.
        scratch: a folder to unpack into, made when it is needed.

    Raises:
        DataError: it is not there, or nothing that is read.
    """
    text = wanted.source
    if text == named.DEMO:
        source = named.demo_source(wanted.count, wanted.seed, wanted.demo_size)
        if Path(text).exists():
            source.notes.append("took the built-in set; ./demo is the folder")
        return source
    if text.startswith(named.PREFIX):
        name = text.removeprefix(named.PREFIX)
        return named.torchvision_source(name, wanted.root.expanduser(), wanted.split, scratch)
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            return _folder(path, wanted, scratch)
        if path.is_file():
            return _file(path, wanted, scratch)
    except OSError as error:
        raise DataError(f"{text} cannot be read ({error.strerror}); see its permissions") from error
    names = ", ".join([named.DEMO, *(named.PREFIX + name for name in named.NAMED)])
    raise DataError(f"there is no {text}; give a folder of pictures, an archive, or one of {names}")


def _folder(path: Path, wanted: Wanted, scratch: Path) -> Source:
    if (path / FACTS).exists() and (path / "left-out.csv").exists():
        raise DataError(f"{path} is a dataset already; give the folder of pictures that it was made of")
    if files := idx.idx_files(path):
        return idx.idx_source(files, wanted.split, scratch)
    inside = [entry for entry in path.iterdir() if entry.is_file()]
    if cifar.is_cifar(batches := cifar.cifar_files(inside)):
        return cifar.cifar_source(batches, wanted.split, scratch, str(path))
    binaries = stl10.stl_files(inside)
    if any(name.endswith("_X.bin") for name in binaries):
        return stl10.stl_source(binaries, wanted.split, str(path))
    return folder_source(path)


def _file(path: Path, wanted: Wanted, scratch: Path) -> Source:
    if idx.IDX_IMAGES.match(path.name):
        return idx.idx_source([path], "all", scratch)
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"\x93NUMPY"):
        return npy.npy_source(path, scratch)
    if zipfile.is_zipfile(path):
        return npy.npy_source(path, scratch) if _holds_arrays(path) else archives.zip_source(path)
    plain = archives.unpacked(path, scratch)
    if tarfile.is_tarfile(plain):
        return _tar(path, plain, wanted, scratch)
    raise DataError(
        f"{path} is neither a folder, a zip or tar archive, an IDX file nor an array; give the pictures' folder"
    )


def _holds_arrays(path: Path) -> bool:
    """Whether a zip archive is an `.npz`; one that is damaged is not."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _tar(path: Path, plain: Path, wanted: Wanted, scratch: Path) -> Source:
    """Pictures in a tar archive, or one of the sets that are published as one."""
    names = {member.name.rsplit("/", 1)[-1] for member in archives.tar_members(plain)}
    if cifar.is_cifar(names):
        files = archives.members_to_files(plain, {*cifar.CIFAR_BATCHES, *cifar.CIFAR_META}, scratch)
        return cifar.cifar_source(cifar.cifar_files(files), wanted.split, scratch, str(path))
    if any(name.endswith("_X.bin") for name in names & stl10.STL_FILES):
        files = archives.members_to_files(plain, stl10.STL_FILES, scratch)
        return stl10.stl_source(stl10.stl_files(files), wanted.split, str(path))
    return archives.tar_source(path, plain)
