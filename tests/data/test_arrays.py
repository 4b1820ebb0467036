import gzip
import pickle
import tarfile

import numpy as np
import pytest

from ganforge.data.opening import Wanted, default_name, open_source
from ganforge.errors import DataError

RNG = np.random.default_rng(0)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def opened(path, tmp_path, **options):
    return open_source(Wanted(str(path), **options), tmp_path / "scratch")


def pictures(source):
    return np.stack([np.asarray(source.reader.read(entry)) for entry in source.entries])


def labels(source):
    return [entry.label for entry in source.entries]


@pytest.fixture
def mnist(tmp_path):
    """Four IDX files as MNIST is published; the training pictures gzipped, the test pictures not."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    train, test = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8), RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(train)))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(7, dtype=np.uint8))))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(test))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([9, 9, 8], np.uint8)))
    return folder, train, test


@pytest.mark.parametrize(("split", "parts"), [("auto", "r"), ("train", "r"), ("test", "e"), ("all", "re")])
def test_idx_pairs_give_the_split_asked_for(mnist, tmp_path, split, parts):
    folder, train, test = mnist
    source = opened(folder, tmp_path, split=split)
    np.testing.assert_array_equal(pictures(source), np.concatenate([{"r": train, "e": test}[part] for part in parts]))
    stated = {"r": list("0123456"), "e": ["9", "9", "8"]}
    assert labels(source) == [label for part in parts for label in stated[part]]
    assert any("--split all" in note for note in source.notes) == (split == "auto")


def test_one_idx_file_finds_its_labels(mnist, tmp_path):
    folder, _, test = mnist
    source = opened(folder / "t10k-images-idx3-ubyte", tmp_path)
    np.testing.assert_array_equal(pictures(source), test)
    assert labels(source) == ["9", "9", "8"]
    assert default_name(str(folder / "t10k-images-idx3-ubyte")) == "mnist"


def test_idx_pictures_without_labels_are_taken_and_said(mnist, tmp_path):
    folder, _, _ = mnist
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    source = opened(folder, tmp_path)
    assert labels(source) == [None] * 7
    assert any("no label file" in note for note in source.notes)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("train-images-idx3-ubyte.gz", gzip.compress(idx(np.zeros((7, 28, 28), np.uint8))[:-1]), "does not hold"),
        ("train-images-idx3-ubyte.gz", gzip.compress(b"words"), "no IDX file"),
        ("train-images-idx3-ubyte.gz", gzip.compress(bytes(9000))[:-9], "damaged"),
        ("train-labels-idx1-ubyte.gz", gzip.compress(idx(np.zeros(6, np.uint8))), "6 labels for 7 pictures"),
    ],
)
def test_damaged_idx_files_are_refused_in_one_line(mnist, tmp_path, name, content, says):
    folder, _, _ = mnist
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=says) as refused:
        opened(folder, tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("shape", [(5, 8, 9), (5, 8, 9, 1), (5, 8, 9, 3), (5, 8, 9, 4), (5, 3, 8, 9), (5, 1, 8, 9)])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_arrays_of_every_layout_are_read(tmp_path, shape, kind):
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / f"p.{kind}"
    np.save(path, array) if kind == "npy" else np.savez_compressed(path, x=array, y=np.array([3, 1, 1, 2, 10]))
    source = opened(path, tmp_path)
    wanted = array.transpose(0, 2, 3, 1) if shape[1] in (1, 3) else array
    np.testing.assert_array_equal(pictures(source), wanted[..., 0] if wanted.shape[-1] == 1 else wanted)
    assert labels(source) == ([None] * 5 if kind == "npy" else ["3", "1", "1", "2", "10"])


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((5, 8, 8), np.float32), "float32, not uint8"),
        (np.zeros((5, 8, 8, 2), np.uint8), "pictures are"),
        (np.zeros((8, 8), np.uint8), "pictures are"),
        (np.asfortranarray(np.zeros((5, 8, 9), np.uint8)), "Fortran"),
        (np.array([{}], object), "no array that can be read"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(tmp_path, array, says):
    np.save(tmp_path / "p.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=says):
        opened(tmp_path / "p.npy", tmp_path)


def test_npz_files_that_leave_a_doubt_are_refused(tmp_path):
    one = np.zeros((5, 8, 8), np.uint8)
    np.savez(tmp_path / "two.npz", a=one, b=one)
    with pytest.raises(DataError, match="2 arrays that could be pictures"):
        opened(tmp_path / "two.npz", tmp_path)
    np.savez(tmp_path / "short.npz", a=one, labels=np.zeros(4))
    with pytest.raises(DataError, match="one a picture"):
        opened(tmp_path / "short.npz", tmp_path)


def cifar_files(folder):
    folder.mkdir(parents=True)
    truth = {}
    for name, count in (("data_batch_1", 4), ("data_batch_2", 3), ("test_batch", 2)):
        data = RNG.integers(0, 256, (count, 3072), dtype=np.uint8)
        stated = [int(n) for n in RNG.integers(0, 3, count)]
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": stated, "filenames": ["x"] * count}, 2))
        truth[name] = data, stated
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["plane", "auto", "bird"]}, 2))
    return truth


@pytest.mark.parametrize("packed", [False, True])
def test_cifar_batches_are_read_with_their_class_names(tmp_path, packed):
    folder = tmp_path / "cifar-10-batches-py"
    truth = cifar_files(folder)
    path = folder
    if packed:
        path = tmp_path / "cifar.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, folder.name)
    source = opened(path, tmp_path)
    train = [truth["data_batch_1"], truth["data_batch_2"]]
    data = np.concatenate([data for data, _ in train]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(pictures(source), data)
    assert source.classes == ("plane", "auto", "bird")
    assert labels(source) == [source.classes[n] for _, stated in train for n in stated]
    assert len(opened(path, tmp_path, split="all").entries) == 9


def test_a_cifar_batch_that_would_run_code_is_refused(tmp_path):
    folder = tmp_path / "c"
    cifar_files(folder)

    class Evil:
        def __reduce__(self):
            return (exec, ("raise SystemExit('it ran')",))

    (folder / "data_batch_1").write_bytes(pickle.dumps({"data": Evil()}, 2))
    with pytest.raises(DataError, match="is no CIFAR batch"):
        opened(folder, tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_stl_binaries_are_read_upright_with_their_class_names(tmp_path, packed):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    truth = RNG.integers(0, 256, (5, 96, 96, 3), dtype=np.uint8)
    columns_first = truth.transpose(0, 3, 2, 1)  # the set stores each channel column by column
    (folder / "train_X.bin").write_bytes(columns_first[:3].tobytes())
    (folder / "test_X.bin").write_bytes(columns_first[3:].tobytes())
    (folder / "train_y.bin").write_bytes(bytes([1, 2, 2]))
    (folder / "test_y.bin").write_bytes(bytes([2, 1]))
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    path = folder
    if packed:
        path = tmp_path / "stl.tar"
        with tarfile.open(path, "w") as archive:
            archive.add(folder, folder.name)
    source = opened(path, tmp_path)
    np.testing.assert_array_equal(pictures(source), truth)
    assert labels(source) == ["airplane", "bird", "bird", "bird", "airplane"]
    assert len(opened(path, tmp_path, split="train").entries) == 3
    with pytest.raises(DataError, match="holds test, train"):
        opened(path, tmp_path, split="validation")


def test_a_file_that_is_nothing_known_is_refused(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"words")
    with pytest.raises(DataError, match="neither a folder"):
        opened(tmp_path / "x.bin", tmp_path)
    with pytest.raises(DataError, match="there is no"):
        opened(tmp_path / "y", tmp_path)


def test_buffers_are_not_shared_between_pictures(tmp_path):
    np.save(tmp_path / "p.npy", np.zeros((2, 8, 8), np.uint8))
    source = opened(tmp_path / "p.npy", tmp_path)
    first = source.reader.read(source.entries[0])
    first.putpixel((0, 0), 9)
    assert np.asarray(source.reader.read(source.entries[0]))[0, 0] == 0
