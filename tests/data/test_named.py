import gzip
import pickle
import urllib.error

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image
from scipy.io import savemat

from ganforge.data.dataset import Dataset
from ganforge.data.demo import HAIR_COLOURS, render_face
from ganforge.data.named import FASHION, NAMED
from ganforge.data.prepare import Request, prepare
from ganforge.errors import DataError

RNG = np.random.default_rng(0)


def prepared(name, tmp_path, **options):
    request = Request(f"torchvision:{name}", out=tmp_path / "out", root=tmp_path / "root", workers=0, **options)
    return Dataset.open(prepare(request).path)


def idx(array):
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes())


@pytest.mark.parametrize(
    ("name", "folder", "classes"), [("mnist", "MNIST", tuple("0123456789")), ("fashion-mnist", "FashionMNIST", FASHION)]
)
def test_mnist_and_fashion_mnist_are_read_where_torchvision_puts_them(tmp_path, name, folder, classes):
    raw = tmp_path / "root" / folder / "raw"
    raw.mkdir(parents=True)
    pictures = RNG.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 10
    (raw / "train-images-idx3-ubyte.gz").write_bytes(idx(pictures))
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    dataset = prepared(name, tmp_path)
    np.testing.assert_array_equal(dataset.level(28)[:, 0], pictures)
    np.testing.assert_array_equal(dataset.labels, labels)
    assert dataset.classes == classes


def test_cifar10_is_read_where_torchvision_puts_it(tmp_path):
    folder = tmp_path / "root" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    data = RNG.integers(0, 256, (6, 3072), dtype=np.uint8)
    (folder / "data_batch_1").write_bytes(pickle.dumps({"data": data, "labels": [0, 1, 1, 0, 1, 0]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["plane", "auto"]}))
    dataset = prepared("cifar10", tmp_path)
    np.testing.assert_array_equal(dataset.level(32), data.reshape(-1, 3, 32, 32))
    assert dataset.classes == ("plane", "auto")


def test_flowers_have_the_labels_and_parts_of_their_matlab_files(tmp_path):
    folder = tmp_path / "root" / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    for number in range(1, 7):
        Image.new("RGB", (40, 40), (number * 40, 0, 0)).save(folder / "jpg" / f"image_{number:05d}.jpg")
    savemat(folder / "imagelabels.mat", {"labels": np.array([[5, 5, 9, 9, 102, 5]])})
    savemat(
        folder / "setid.mat", {"trnid": np.array([[6, 1]]), "valid": np.array([[3]]), "tstid": np.array([[2, 4, 5]])}
    )
    dataset = prepared("flowers102", tmp_path)
    assert [dataset.classes[label] for label in dataset.labels] == ["5", "5", "9", "9", "102", "5"]
    assert [round(red / 40) for red in dataset.level(40)[:, 0, 0, 0]] == [1, 2, 3, 4, 5, 6]
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "root").symlink_to(tmp_path / "root")
    assert prepared("flowers102", tmp_path / "second", split="train").count == 2


def test_food_takes_one_class_of_one_part(tmp_path):
    folder = tmp_path / "root" / "food-101"
    (folder / "meta").mkdir(parents=True)
    names = [f"{food}/{number}" for food in ("pizza", "sushi") for number in range(4)]
    for name in names:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(folder / "images" / f"{name}.jpg")
    (folder / "meta" / "train.txt").write_text("\n".join(name for name in names if name[-1] != "3"))
    (folder / "meta" / "test.txt").write_text("pizza/3\nsushi/3\n")
    dataset = prepared("food101", tmp_path, only=("sushi",))
    assert (dataset.count, dataset.classes) == (3, ("sushi",))
    assert dataset.facts["left_out"]["not-asked-for"]["count"] == 3


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("Name or service not known"), RuntimeError("Error downloading")]
)
@pytest.mark.parametrize("name", NAMED)
def test_without_a_network_there_is_one_clear_line(tmp_path, monkeypatch, name, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(torchvision.datasets, NAMED[name].dataset, fail)
    with pytest.raises(DataError, match=r"cannot be downloaded .* --root") as refused:
        prepared(name, tmp_path)
    assert "\n" not in str(refused.value)
    assert NAMED[name].folder in str(refused.value)


@pytest.mark.parametrize("name", NAMED)
def test_torchvision_still_has_the_sets_where_they_are_looked_for(name):
    kind = getattr(torchvision.datasets, NAMED[name].dataset)
    place = NAMED[name].folder.split("/")[0]
    known = {getattr(kind, "base_folder", ""), kind.__name__}
    assert place in known or name in ("flowers102", "food101")


def test_an_unknown_set_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(DataError, match="did you mean cifar10"):
        prepared("cifar-10", tmp_path)


def test_the_built_in_set_is_drawn_as_its_renderer_draws_it(tmp_path):
    request = Request("demo", out=tmp_path / "out", count=12, seed=3, max_res=32, workers=1)
    dataset = Dataset.open(prepare(request).path)
    assert dataset.classes == HAIR_COLOURS
    for index in (0, 5, 11):
        image, label = render_face(3, index, 32)
        np.testing.assert_array_equal(dataset.level(32)[index].transpose(1, 2, 0), np.asarray(image))
        assert dataset.labels[index] == label


def test_a_folder_called_demo_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "demo" / "1.png")
    chosen = prepare(Request("demo", count=6, workers=0, out=tmp_path / "a")).facts
    assert chosen["count"] == 6
    assert any("./demo is the folder" in note for note in chosen["chosen"])
    assert prepare(Request("./demo", workers=0, out=tmp_path / "b")).facts["count"] == 1
