import json
import os

import numpy as np
import pytest
from PIL import Image

from ganforge.data.dataset import Dataset, find_dataset
from ganforge.data.prepare import Request, prepare
from ganforge.errors import DataError


def make(folder, name, count=12, classes=2, **options):
    source = folder / f"{name}-pictures"
    for index in range(count):
        (source / f"class{index % classes}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (index, 2 * index, 255 - index)).save(
            source / f"class{index % classes}" / f"{index}.png"
        )
    return prepare(Request(str(source), out=folder / name, workers=0, **options)).path


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return make(tmp_path_factory.mktemp("dataset"), "set", count=30, holdout=0.2)


@pytest.fixture
def own(tmp_path):
    return make(tmp_path, "own")


def test_an_opened_dataset_says_what_it_holds(shared):
    dataset = Dataset.open(str(shared))
    assert (dataset.name, dataset.count, dataset.channels, dataset.base) == ("set", 24, 3, (4, 4))
    assert dataset.resolutions == (4, 8, 16)
    assert dataset.resolution == 16
    assert dataset.size(8) == (8, 8)
    assert dataset.classes == ("class0", "class1")
    assert dataset.labels.dtype == np.int64
    assert np.bincount(dataset.labels).tolist() == [12, 12]
    assert not dataset.mirror
    for resolution in dataset.resolutions:
        level = dataset.level(resolution)
        assert isinstance(level, np.memmap)
        assert (level.dtype, level.shape) == (np.uint8, (24, 3, resolution, resolution))
        assert not level.flags.writeable


def test_the_holdout_is_a_dataset_with_the_same_share_of_each_class(shared):
    dataset = Dataset.open(shared)
    holdout = dataset.holdout
    assert holdout.count == 6
    assert np.bincount(holdout.labels).tolist() == [3, 3]
    assert (holdout.classes, holdout.resolutions) == (dataset.classes, dataset.resolutions)
    colours = {tuple(picture[:, 0, 0]) for d in (dataset, holdout) for picture in d.level(16)}
    assert len(colours) == 30
    assert holdout.holdout is None


def test_verify_passes_what_was_written_and_refuses_a_changed_byte(own):
    dataset = Dataset.open(own)
    assert sorted(dataset.verify()) == ["images-16x16.npy", "images-4x4.npy", "images-8x8.npy", "labels.npy"]
    with (own / "images-8x8.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(DataError, match=r"images-8x8\.npy is not what was written"):
        list(dataset.verify())


def test_the_digest_is_of_the_content_and_not_of_the_name(own, tmp_path):
    again = make(tmp_path, "again")
    other = make(tmp_path, "other", count=13)
    assert Dataset.open(own).digest == Dataset.open(again).digest != Dataset.open(other).digest


def test_an_unknown_level_is_refused_with_the_known_ones(shared):
    with pytest.raises(DataError, match="no level of 32 pixels, only 4, 8, 16"):
        Dataset.open(shared).level(32)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: (path / "images-8x8.npy").unlink(), "images-8x8.npy is missing or damaged"),
        (lambda path: os.truncate(path / "images-8x8.npy", 500), "images-8x8.npy is missing or damaged"),
        (lambda path: np.save(path / "images-8x8.npy", np.zeros((2, 3), np.uint8)), "where uint8"),
        (lambda path: (path / "labels.npy").unlink(), "labels.npy is missing"),
        (lambda path: (path / "dataset.json").write_text("{"), "cannot be read"),
        (lambda path: (path / "dataset.json").write_text('{"labels": null}'), "was not written by ganforge"),
        (lambda path: (path / "dataset.json").write_text('{"format": 1}'), "is damaged"),
        (lambda path: (path / "dataset.json").write_text('{"format": 99}'), "upgrade ganforge"),
        (lambda path: (path / "dataset.json").unlink(), "ganforge prepare"),
    ],
)
def test_a_broken_dataset_is_refused_in_one_line(own, damage, says):
    damage(own)
    with pytest.raises(DataError, match=says) as refused:
        Dataset.open(own)
    assert "\n" not in str(refused.value)


def test_a_missing_dataset_names_the_remedy(tmp_path):
    with pytest.raises(DataError, match="ganforge prepare FOLDER"):
        Dataset.open(tmp_path / "none")


def test_find_takes_the_only_dataset_then_the_newest_and_says_which(tmp_path):
    root = tmp_path / "datasets"
    with pytest.raises(DataError, match="ganforge prepare FOLDER"):
        find_dataset(None, root)
    (root / ".hidden").mkdir(parents=True)
    (root / "not-a-dataset").mkdir()
    make(root, "zebra")
    found, why = find_dataset(None, root)
    assert found.name == "zebra"
    assert "the only one" in why
    make(root, "ant")
    found, why = find_dataset(None, root)
    assert found.name == "ant"
    assert "most recently prepared of 2" in why


def test_find_takes_a_path_or_a_name_as_given(tmp_path):
    make(tmp_path / "datasets", "a")
    assert find_dataset(str(tmp_path / "datasets" / "a"))[0].name == "a"
    found, why = find_dataset("a", tmp_path / "datasets")
    assert found.name == "a"
    assert "as given" in why
    with pytest.raises(DataError, match="there is no dataset b"):
        find_dataset("b", tmp_path / "datasets")


def test_the_facts_are_plain_json(own):
    facts = json.loads((own / "dataset.json").read_text())
    assert facts["format"] == 1
    assert facts["class_counts"] == [6, 6]
    assert set(facts["arrays"]) == {"images-4x4.npy", "images-8x8.npy", "images-16x16.npy", "labels.npy"}
