import os

import pytest
from PIL import Image

from ganforge.data.opening import Wanted, default_name, open_source
from ganforge.data.problems import Rejected
from ganforge.data.sources import Entry, folder_source
from ganforge.errors import DataError


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names(source):
    return [entry.name for entry in source.entries]


def test_all_files_below_a_folder_are_listed_in_order(tmp_path):
    given = ["b.png", "a/x y.png", "a/☃.png", "a/new\nline.png", "z/deep/er/1.png", "a.png"]
    fill(tmp_path, *given)
    source = folder_source(tmp_path)
    assert names(source) == sorted(given)
    for entry in source.entries:
        with source.reader.read(entry) as file:
            assert file.read() == entry.name.encode()


def test_names_that_are_not_unicode_are_read(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        file.write(b"x")
    source = folder_source(tmp_path)
    with source.reader.read(source.entries[0]) as file:
        assert file.read() == b"x"


def test_links_are_followed_and_loops_are_not(tmp_path):
    fill(tmp_path / "pictures", "a/1.png")
    fill(tmp_path / "elsewhere", "2.png")
    (tmp_path / "pictures" / "loop").symlink_to(tmp_path / "pictures")
    (tmp_path / "pictures" / "a" / "up").symlink_to("..")
    (tmp_path / "pictures" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pictures" / "file.png").symlink_to("a/1.png")
    (tmp_path / "pictures" / "broken.png").symlink_to("nothing")
    (tmp_path / "pictures" / "self.png").symlink_to("self.png")
    source = folder_source(tmp_path / "pictures")
    assert names(source) == ["a/1.png", "file.png", "linked/2.png"]
    assert sorted((left.name, left.reason) for left in source.left_out) == [
        ("broken.png", "unreadable"),
        ("self.png", "unreadable"),
    ]
    assert len(source.notes) == 2


def test_pipes_are_not_opened_and_litter_is_set_apart(tmp_path):
    fill(tmp_path, ".DS_Store", "a/Thumbs.db", "a/._1.png", "a/1.png")
    os.mkfifo(tmp_path / "pipe.png")
    source = folder_source(tmp_path)
    assert names(source) == ["a/1.png"]
    assert sorted((left.name, left.reason) for left in source.left_out) == [
        (".DS_Store", "litter"),
        ("a/._1.png", "litter"),
        ("a/Thumbs.db", "litter"),
        ("pipe.png", "not-a-file"),
    ]


def test_datasets_of_ours_inside_a_folder_are_passed_over(tmp_path):
    fill(
        tmp_path,
        "1.png",
        "datasets/x/dataset.json",
        "datasets/x/left-out.csv",
        "datasets/x/preview.png",
        "datasets/y.png",
    )
    source = folder_source(tmp_path)
    assert names(source) == ["1.png", "datasets/y.png"]
    assert "is a dataset that ganforge made" in source.notes[0]
    with pytest.raises(DataError, match="is a dataset already"):
        open_source(Wanted(str(tmp_path / "datasets" / "x")), tmp_path)


def test_a_file_that_goes_away_is_unreadable(tmp_path):
    fill(tmp_path, "1.png")
    source = folder_source(tmp_path)
    with pytest.raises(Rejected) as rejected:
        source.reader.read(Entry("2.png", None))
    assert rejected.value.reason == "unreadable"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("torchvision:cifar10", "cifar10"),
        ("demo", "demo"),
        ("x/y z", "y z"),
        ("a.b/", "a.b"),
        ("x/..hid\nden..", "hid-den"),
    ],
)
def test_the_dataset_is_named_after_its_source(tmp_path, monkeypatch, source, name):
    monkeypatch.chdir(tmp_path)
    assert default_name(source) == name


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "TGZ", "npz", "tar.zst"])
def test_archives_lend_their_name_without_the_ending(tmp_path, ending):
    path = tmp_path / f"my.pictures.{ending}"
    path.write_bytes(b"")
    assert default_name(str(path)) == "my.pictures"


def test_the_present_folder_lends_its_name(tmp_path, monkeypatch):
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path / "cats")
    assert default_name(".") == "cats"


def test_a_picture_alone_is_no_source(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    with pytest.raises(DataError, match="give the pictures' folder"):
        open_source(Wanted(str(tmp_path / "1.png")), tmp_path / "scratch")
