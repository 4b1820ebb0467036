"""Pictures in zip and tar archives, read where they lie: nothing is unpacked to the disk except a compressed tar."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from ganforge.data.problems import Rejected
from ganforge.data.sources import Entry, LeftOut, Source, sort_litter
from ganforge.errors import DataError

LARGEST_MEMBER = 1 << 28  # bytes of one unpacked file: it is held in memory
BOMB_SIZE, BOMB_RATIO = 1 << 26, 100  # larger and more compressed than this is no picture
SPARE = 1 << 30  # bytes of disk that unpacking leaves free

LOCAL_HEADER = struct.Struct("<4s5H3I2H")


def unsafe(name: str) -> bool:
    """Whether a path in an archive leads out of it."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or (len(name) > 1 and name[1] == ":")


# -- zip -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ZipReader:
    """Reads members by their place, without the archive's directory: that of a million files would not fit each worker.

    A place is (offset of the local header, compressed bytes, bytes, method).
    """

    path: str

    def read(self, entry: Entry) -> IO[bytes]:
        offset, packed, size, method = entry.place
        with open(self.path, "rb") as file:
            file.seek(offset)
            header = file.read(LOCAL_HEADER.size)
            if len(header) < LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
                raise Rejected("corrupt", "the archive is damaged here")
            *_, name_length, extra_length = LOCAL_HEADER.unpack(header)
            file.seek(name_length + extra_length, os.SEEK_CUR)
            data = file.read(packed)
        if len(data) < packed:
            raise Rejected("truncated", "the archive ends here")
        if method == zipfile.ZIP_DEFLATED:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
            except zlib.error as error:
                raise Rejected("corrupt", f"the archive is damaged here ({error})") from error
        if len(data) != size:
            raise Rejected("corrupt", "not as long as the archive says")
        return io.BytesIO(data)


def zip_source(path: Path) -> Source:
    """The files of a zip archive.

    Raises:
        DataError: it is damaged.
    """
    places: list[tuple[str, Any]] = []
    left_out: list[LeftOut] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                if reason := _zip_problem(info):
                    left_out.append(LeftOut(info.filename, *reason))
                else:
                    place = (info.header_offset, info.compress_size, info.file_size, info.compress_type)
                    places.append((info.filename, place))
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
        raise DataError(f"{path} is a damaged zip archive ({error}); get it again") from error
    entries, litter = sort_litter(places)
    return Source(f"zip archive {path}", entries, ZipReader(str(path)), left_out + litter)


def _zip_problem(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    """Why a member cannot be read, as (reason, detail)."""
    if unsafe(info.filename):
        return "unsafe-path", ""
    if info.flag_bits & 1:
        return "encrypted", ""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "unknown-packing", f"method {info.compress_type}"
    if info.file_size > LARGEST_MEMBER:
        return "too-many-bytes", f"{info.file_size >> 20} MiB"
    if info.file_size > BOMB_SIZE and info.file_size > BOMB_RATIO * info.compress_size:
        return "too-many-bytes", f"{info.file_size >> 20} MiB packed into {info.compress_size >> 10} KiB"
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        return "link", ""
    return None


# -- tar -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SliceReader:
    """Reads entries that are parts of one file; a place is (offset, bytes)."""

    path: str

    def read(self, entry: Entry) -> IO[bytes]:
        offset, size = entry.place
        with open(self.path, "rb") as file:
            file.seek(offset)
            data = file.read(size)
        if len(data) < size:
            raise Rejected("truncated", "the archive ends here")
        return io.BytesIO(data)


def decompressor(path: Path) -> Callable[[Path], IO[bytes]] | None:
    """What opens a compressed file for reading, by its first bytes; None when it is not compressed.

    Raises:
        DataError: it is compressed with Zstandard, which this Python cannot read.
    """
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(b"\x1f\x8b"):
        return lambda file: cast(IO[bytes], gzip.open(file))
    if head.startswith(b"BZh"):
        return lambda file: bz2.open(file)
    if head.startswith(b"\xfd7zXZ\0"):
        return lambda file: lzma.open(file)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14 has it
        except ImportError:
            raise DataError(
                f"{path} is packed with Zstandard, which needs Python 3.14; unpack it: zstd -d {path}"
            ) from None
        return lambda file: zstd.open(file)  # type: ignore[no-any-return,unused-ignore]
    return None


def unpacked(path: Path, scratch: Path) -> Path:
    """`path` itself or, when it is compressed, what it unpacks to, written to the folder `scratch`.

    Raises:
        DataError: it is damaged, or the disk would be filled.
    """
    opener = decompressor(path)
    if opener is None:
        return path
    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / f"{len(list(scratch.iterdir()))}-{path.stem}"
    try:
        with opener(path) as packed, target.open("wb") as file:
            while block := packed.read(1 << 22):
                if shutil.disk_usage(scratch).free < SPARE:
                    raise DataError(
                        f"{path} unpacks to more than the disk of {scratch.parent} holds; free some, or see --out"
                    )
                file.write(block)
    except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); get it again") from error
    return target


def tar_source(path: Path, plain: Path) -> Source:
    """The files of the tar archive `path`, which lies uncompressed at `plain`.

    Raises:
        DataError: it is damaged.
    """
    places: list[tuple[str, Any]] = []
    left_out: list[LeftOut] = []
    try:
        for member in tar_members(plain):
            if unsafe(member.name):
                left_out.append(LeftOut(member.name, "unsafe-path"))
            elif member.issym() or member.islnk():
                left_out.append(LeftOut(member.name, "link", f"to {member.linkname}"))
            elif not member.isreg() or member.issparse():
                left_out.append(LeftOut(member.name, "not-a-file"))
            elif member.size > LARGEST_MEMBER:
                left_out.append(LeftOut(member.name, "too-many-bytes", f"{member.size >> 20} MiB"))
            else:
                places.append((member.name.removeprefix("./"), (member.offset_data, member.size)))
    except tarfile.TarError as error:
        raise DataError(f"{path} is a damaged tar archive ({error}); get it again") from error
    entries, litter = sort_litter(places)
    return Source(f"tar archive {path}", entries, SliceReader(str(plain)), left_out + litter)


def tar_members(path: Path) -> Iterator[tarfile.TarInfo]:
    """The members of an uncompressed tar archive that are not folders, never all in memory at once."""
    with tarfile.open(path, "r:", errors="surrogateescape") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined,unused-ignore]  # it would keep every one
            if not member.isdir():
                yield member


def members_to_files(path: Path, wanted: Iterable[str], scratch: Path) -> list[Path]:
    """The members of a plain tar archive whose last name is one of `wanted`, as files in `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    names = frozenset(wanted)
    written = []
    with path.open("rb") as file:
        for member in tar_members(path):
            name = os.path.basename(member.name)
            if member.isreg() and name in names:
                target = scratch / name
                file.seek(member.offset_data)
                with target.open("wb") as copy:
                    left = member.size
                    while left and (block := file.read(min(left, 1 << 22))):
                        copy.write(block)
                        left -= len(block)
                written.append(target)
    return written
