import numpy as np
import pytest
import torch

from ganforge.data.dataset import Dataset
from ganforge.data.prepare import Request, prepare
from ganforge.data.stream import Stream, to_tensor
from ganforge.errors import DataError

COUNT = 23
ORDER = [11, 3, 20, 13, 2, 21, 15, 1, 18, 19]  # of seed 0, as written down when it was made


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """23 pictures of 8x8: picture i has the value i, but for its left half, which is 100 more."""
    folder = tmp_path_factory.mktemp("stream")
    pictures = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None], (COUNT, 8, 8)).copy()
    pictures[:, :, :4] += 100
    np.savez(folder / "p.npz", pictures=pictures, labels=np.arange(COUNT) % 2)
    prepared = prepare(Request(str(folder / "p.npz"), out=folder / "out", workers=0))
    return Dataset.open(prepared.path)


def numbers(batch):
    return batch[0][:, 0, 0, [0, -1]].min(axis=1).tolist()


@pytest.mark.parametrize("resolution", [4, 8])
def test_every_epoch_shows_every_picture_once(dataset, resolution):
    stream = Stream(dataset, 5, mirror=False)
    first = numbers(stream.take(0, COUNT, resolution))
    second = numbers(stream.take(COUNT, COUNT, resolution))
    assert sorted(first) == sorted(second) == list(range(COUNT))
    assert first != second != sorted(second)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_batch_is_a_function_of_seed_and_position_alone(dataset, mirror):
    whole = Stream(dataset, 7, mirror=mirror).take(0, 5 * COUNT, 8)
    resumed = Stream(dataset, 7, mirror=mirror)
    for start, count in ((90, 20), (0, 3), (22, 2), (40, 60)):
        pictures, labels = resumed.take(start, count, 8)
        np.testing.assert_array_equal(pictures, whole[0][start : start + count])
        np.testing.assert_array_equal(labels, whole[1][start : start + count])
    assert numbers(Stream(dataset, 8, mirror=mirror).take(0, COUNT, 8)) != numbers((whole[0][:COUNT], None))


def test_labels_belong_to_their_pictures(dataset):
    batch = Stream(dataset, 1, mirror=True).take(3, 50, 8)
    assert batch[1].dtype == np.int64
    np.testing.assert_array_equal(batch[1], np.array(numbers(batch)) % 2)


def test_mirroring_is_fair_and_flips_left_to_right(dataset):
    pictures, _ = Stream(dataset, 2, mirror=True).take(0, 2000, 8)
    flipped = pictures[:, 0, 0, 0] < 100
    assert 0.45 < flipped.mean() < 0.55
    assert (pictures[flipped][:, :, :, 4:] >= 100).all()
    assert (pictures[~flipped][:, :, :, :4] >= 100).all()
    straight, _ = Stream(dataset, 2, mirror=False).take(0, 2000, 8)
    assert (straight[:, 0, :, 0] >= 100).all()
    # the same pictures in the same order
    np.testing.assert_array_equal(np.sort(straight, axis=3), np.sort(pictures, axis=3))


def test_the_order_never_changes_between_versions(dataset):
    assert numbers(Stream(dataset, 0, mirror=False).take(0, 10, 8)) == ORDER


def test_prefetched_batches_are_those_of_take(dataset):
    stream = Stream(dataset, 3, mirror=True)
    requests = [(start, 16, 8 if start > 64 else 4) for start in range(0, 160, 16)]
    got = list(stream.prefetch(requests))
    assert len(got) == len(requests)
    for batch, request in zip(got, requests, strict=True):
        np.testing.assert_array_equal(batch[0], stream.take(*request)[0])


def test_prefetch_stops_when_it_is_abandoned_and_passes_errors_on(dataset):
    endless = Stream(dataset, 3, mirror=False).prefetch((n, 4, 8) for n in iter(int, 1))
    assert next(endless)[0].shape == (4, 1, 8, 8)
    endless.close()
    with pytest.raises(DataError, match="no level of 5"):
        list(Stream(dataset, 3, mirror=False).prefetch([(0, 4, 5)]))


def test_tensors_are_scaled_to_minus_one_to_one():
    values = np.array([0, 127, 128, 255], np.uint8).reshape(1, 1, 2, 2)
    tensor = to_tensor(values, "cpu")
    assert tensor.dtype == torch.float32
    assert tensor.flatten().tolist() == pytest.approx([-1, 127 / 127.5 - 1, 128 / 127.5 - 1, 1], abs=1e-6)
    assert values.flatten().tolist() == [0, 127, 128, 255]


@pytest.mark.parametrize(("start", "count"), [(-1, 4), (0, 0)])
def test_positions_before_the_beginning_are_a_defect(dataset, start, count):
    with pytest.raises(ValueError, match="cannot take"):
        Stream(dataset, 0, mirror=False).take(start, count, 8)


def test_pictures_straight_from_a_level_become_tensors_too(dataset):
    assert to_tensor(dataset.level(8)[:2], "cpu").shape == (2, 1, 8, 8)
