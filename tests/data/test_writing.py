import hashlib
import os

import numpy as np
import pytest

from ganforge.data.dataset import array_checksum
from ganforge.data.sources import LeftOut
from ganforge.data.writing import ArrayFile, DatasetWriter, check_out, publish, workspace, write_left_out
from ganforge.errors import DataError


@pytest.mark.parametrize("count", [0, 1, 12345])
def test_an_array_written_piece_by_piece_is_a_plain_npy_file(tmp_path, count):
    pictures = np.random.default_rng(0).integers(0, 256, (count, 1, 2, 3), dtype=np.uint8)
    file = ArrayFile(tmp_path / "a.npy", (1, 2, 3))
    for start in range(0, count, 1000):
        file.append(pictures[start : start + 1000])
    checksum = file.finish()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), pictures)
    assert checksum == hashlib.sha256(pictures.tobytes()).hexdigest() == array_checksum(tmp_path / "a.npy")


def test_grey_pictures_lose_their_equal_channels(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4), dtype=np.uint8)
    writer = DatasetWriter(tmp_path / "d", 3, [(2, 2), (4, 4)])
    writer.append([np.repeat(grey[:, :, :2, :2], 3, axis=1), np.repeat(grey, 3, axis=1)], [])
    facts = writer.finish(only_grey=True, labelled=False)
    np.testing.assert_array_equal(np.load(tmp_path / "d" / "images-4x4.npy"), grey)
    assert facts["images-4x4.npy"]["sha256"] == array_checksum(tmp_path / "d" / "images-4x4.npy")
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["images-2x2.npy", "images-4x4.npy"]


def test_names_that_are_not_unicode_keep_their_bytes(tmp_path):
    name = os.fsdecode(b'caf\xe9 \n,"x".png')
    write_left_out(tmp_path, [LeftOut("b", "empty"), LeftOut(name, "corrupt", "why")])
    assert (
        tmp_path / "left-out.csv"
    ).read_bytes() == b'name,reason,detail\r\nb,empty,\r\n"caf\xe9 \n,""x"".png",corrupt,why\r\n'


def finished(folder, text):
    made = folder / "dataset"
    made.mkdir()
    (made / "dataset.json").write_text(text)
    (made / "left-out.csv").write_text("")
    return made


def test_publishing_replaces_the_old_and_leaves_nothing_behind(tmp_path):
    out = tmp_path / "data" / "set"
    for text in ("old", "new"):
        with workspace(out) as folder:
            assert folder.parent == out.parent
            publish(finished(folder, text), out)
        assert (out / "dataset.json").read_text() == text
        assert [path.name for path in out.parent.iterdir()] == ["set"]


def test_failure_leaves_the_old_one_and_nothing_else(tmp_path):
    out = tmp_path / "set"
    with workspace(out) as folder:
        publish(finished(folder, "old"), out)

    def fail():
        with workspace(out) as folder:
            finished(folder, "new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (out / "dataset.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_the_dead_left_behind_is_cleaned_up_and_put_back(tmp_path):
    dead = 2**22 + 1  # above the largest process number
    (tmp_path / f".set.partial-{dead}").mkdir()
    (tmp_path / f".set.replaced-{dead}").mkdir()
    (tmp_path / f".set.replaced-{dead}" / "dataset.json").write_text("old")
    (tmp_path / f".set.partial-{os.getppid()}").mkdir()
    (tmp_path / ".set.partial-mine").mkdir()
    with workspace(tmp_path / "set"):
        assert (tmp_path / "set" / "dataset.json").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f".set.partial-{os.getppid()}",
        ".set.partial-mine",
        "set",
    ]


def test_a_full_disk_is_one_line(tmp_path):
    def fill():
        with workspace(tmp_path / "set"):
            raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="is full"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_an_output_is_replaced_only_when_it_is_a_dataset_and_asked_for(tmp_path):
    out = tmp_path / "out"
    check_out(out, force=False)
    out.mkdir()
    check_out(out, force=False)
    (out / "holiday.jpg").write_text("precious")
    for force in (False, True):
        with pytest.raises(DataError, match="is no dataset, so it is not replaced"):
            check_out(out, force=force)
    (out / "dataset.json").write_text("{}")
    (out / "left-out.csv").write_text("")
    with pytest.raises(DataError, match="--force"):
        check_out(out, force=False)
    check_out(out, force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is no dataset"):
        check_out(tmp_path / "file", force=True)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    def work():
        with workspace(tmp_path / "file" / "set"):
            raise AssertionError

    with pytest.raises(DataError, match="cannot be written"):
        work()


def test_odd_names_of_outputs_are_cleaned_up_too(tmp_path):
    (tmp_path / f".s[e]t*.partial-{2**22 + 1}").mkdir()
    with workspace(tmp_path / "s[e]t*"):
        pass
    assert list(tmp_path.iterdir()) == []
