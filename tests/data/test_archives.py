import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
from PIL import Image

from ganforge.data import archives
from ganforge.data.archives import tar_source, unpacked, zip_source
from ganforge.data.opening import Wanted, open_source
from ganforge.data.problems import Rejected
from ganforge.errors import DataError


def png(value):
    file = io.BytesIO()
    Image.new("L", (8, 8), value).save(file, "PNG")
    return file.getvalue()


NAMES = ["a/1.png", "b/two words.png", "b/雪☃.png", "b/new\nline.png", "c/deep/er/3.png"]


def contents(source):
    return {entry.name: source.reader.read(entry).read() for entry in source.entries}


def reasons(source):
    return {left.name: left.reason for left in source.left_out}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_every_member_of_a_zip_is_read_whatever_its_name(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "p.zip", "w", method) as archive:
        archive.mkdir("empty")
        for value, name in enumerate(NAMES):
            archive.writestr(name, png(value))
        archive.writestr("b/empty.png", b"")
    source = zip_source(tmp_path / "p.zip")
    assert [entry.name for entry in source.entries] == sorted([*NAMES, "b/empty.png"])
    assert contents(source) == {name: png(value) for value, name in enumerate(NAMES)} | {"b/empty.png": b""}


def test_what_is_dangerous_in_a_zip_is_left_out(tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("../up.png", "/etc/absolute.png", "x/../../y.png", "C:\\windows.png", "..\\back.png"):
            archive.writestr(zipfile.ZipInfo(name), png(1))
        archive.writestr("fine.png", png(2))
        archive.writestr("zeros.png", b"\0" * (archives.BOMB_SIZE + 1))
        archive.writestr("__MACOSX/._fine.png", b"x")
        archive.writestr(".DS_Store", b"x")
        archive.writestr("odd.png", png(3), zipfile.ZIP_LZMA)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "fine.png")
    source = zip_source(path)
    assert list(contents(source)) == ["fine.png"]
    found = reasons(source)
    assert sorted(found.values()) == sorted(
        ["unsafe-path"] * 5 + ["litter"] * 2 + ["too-many-bytes", "unknown-packing", "link"]
    )
    assert found["zeros.png"] == "too-many-bytes"


def test_encrypted_members_are_left_out(tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", png(1))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert reasons(zip_source(path)) == {"a.png": "encrypted"}


def test_a_damaged_member_is_refused_and_the_others_are_read(tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", png(1) * 9)
        archive.writestr("b.png", png(2))
    data = bytearray(path.read_bytes())
    data[35:50] = b"\xff" * 15
    path.write_bytes(data)
    source = zip_source(path)
    with pytest.raises(Rejected) as rejected:
        source.reader.read(source.entries[0])
    assert rejected.value.reason == "corrupt"
    assert source.reader.read(source.entries[1]).read() == png(2)


def test_an_archive_that_is_cut_short_is_refused_in_one_line(tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", png(1))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match="damaged zip"):
        zip_source(path)


def test_a_zip_with_a_damaged_directory_is_refused_in_one_line(tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", png(1))
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    data[start : start + 4] = b"XXXX"
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged zip"):
        open_source(Wanted(str(path)), tmp_path / "scratch")


COMPRESSORS = {"tar": None, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_every_member_of_a_tar_is_read_packed_or_not(tmp_path, ending):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for value, name in enumerate(NAMES):
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(png(value))
            archive.addfile(info, io.BytesIO(png(value)))
        for name, kind in (
            ("s.png", tarfile.SYMTYPE),
            ("h.png", tarfile.LNKTYPE),
            ("p", tarfile.FIFOTYPE),
            ("d", tarfile.DIRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a/1.png"
            archive.addfile(info)
        for name in ("../up.png", "/etc/absolute.png"):
            archive.addfile(tarfile.TarInfo(name))
    compress = COMPRESSORS[ending]
    path = tmp_path / f"p.{ending}"
    path.write_bytes(compress(file.getvalue()) if compress else file.getvalue())
    source = open_source(Wanted(str(path)), tmp_path / "scratch")
    assert contents(source) == {name: png(value) for value, name in enumerate(NAMES)}
    assert reasons(source) == {
        "s.png": "link",
        "h.png": "link",
        "p": "not-a-file",
        "../up.png": "unsafe-path",
        "/etc/absolute.png": "unsafe-path",
    }


def test_a_damaged_tar_is_refused_in_one_line(tmp_path):
    path = tmp_path / "p.tar.gz"
    path.write_bytes(gzip.compress(b"\0" * 5000)[:-20])
    with pytest.raises(DataError, match="is damaged"):
        unpacked(path, tmp_path / "scratch")
    with tarfile.open(tmp_path / "q.tar", "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.size = 5000
        archive.addfile(info, io.BytesIO(bytes(5000)))
    whole = (tmp_path / "q.tar").read_bytes()
    (tmp_path / "q.tar").write_bytes(whole[:3000])
    with pytest.raises(DataError, match="damaged tar"):
        tar_source(tmp_path / "q.tar", tmp_path / "q.tar")


def test_unpacking_stops_before_it_fills_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "p.tar.gz"
    path.write_bytes(gzip.compress(b"\0" * 5000))
    monkeypatch.setattr(archives, "SPARE", 1 << 60)
    with pytest.raises(DataError, match="unpacks to more than the disk"):
        unpacked(path, tmp_path / "scratch")


def test_zstandard_says_what_it_needs(tmp_path):
    path = tmp_path / "p.tar.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(DataError, match=r"Python 3\.14; unpack it|is damaged"):
        unpacked(path, tmp_path / "scratch")
