import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganforge.errors import EvaluationError
from ganforge.evaluation.pictures import (
    ArraySource,
    FolderSource,
    GeneratorSource,
    PictureSource,
    SpooledSource,
    part,
    prefetched,
    shuffled,
)


def save(path: Path, colour: object, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def test_folder_is_read_in_sorted_order_with_subfolders_as_classes(tmp_path: Path) -> None:
    save(tmp_path / "b" / "1.png", (3, 3, 3))
    save(tmp_path / "a" / "2.png", (2, 2, 2))
    save(tmp_path / "a" / "1.png", (1, 1, 1))
    source = FolderSource(tmp_path)
    assert [int(v) for v in source.take(np.arange(3))[:, 0, 0, 0]] == [1, 2, 3]
    assert source.classes == ("a", "b")
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1]


def test_flat_folder_has_no_classes(tmp_path: Path) -> None:
    save(tmp_path / "1.png", (1, 1, 1))
    assert FolderSource(tmp_path).labels is None


def test_other_sizes_are_cropped_and_said_so(tmp_path: Path) -> None:
    save(tmp_path / "1.png", (9, 9, 9))
    save(tmp_path / "2.png", (9, 9, 9))
    save(tmp_path / "3.png", (7, 7, 7), (20, 10))
    source = FolderSource(tmp_path)
    assert source.shape == (3, 8, 8)
    assert source.resizing == "centre crop and Pillow Lanczos to 8x8 for 1 of 3"
    assert source.take(np.array([2])).shape == (1, 3, 8, 8)


def test_sizes_that_fit_are_untouched(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    source = FolderSource(tmp_path)
    assert source.resizing == "none"
    assert np.array_equal(source.take(np.array([0]))[0], pixels.transpose(2, 0, 1))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    save(tmp_path / "1.png", (10, 20, 30, 0), mode="RGBA")
    assert (FolderSource(tmp_path).take(np.array([0])) == 255).all()


def test_grey_folder_has_one_channel(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 40, mode="L")
    assert FolderSource(tmp_path).shape == (1, 8, 8)


def test_digest_follows_the_pixels(tmp_path: Path) -> None:
    save(tmp_path / "x" / "1.png", (1, 1, 1))
    before = FolderSource(tmp_path / "x").digest
    assert FolderSource(tmp_path / "x").digest == before
    save(tmp_path / "x" / "1.png", (1, 1, 2))
    assert FolderSource(tmp_path / "x").digest != before


def test_broken_picture_is_one_line_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"not a picture")
    with pytest.raises(EvaluationError, match=r"1\.png: not a readable picture"):
        FolderSource(tmp_path)


def test_truncated_picture_is_one_line_with_its_name(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EvaluationError, match=r"1\.png: not a readable picture"):
        FolderSource(tmp_path).take(np.array([0]))


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no pictures there"):
        FolderSource(tmp_path)


def test_array_of_floats_is_refused() -> None:
    with pytest.raises(EvaluationError, match="float64"):
        ArraySource(np.zeros((1, 3, 4, 4)), name="x")  # type: ignore[arg-type]


class Counting(PictureSource):
    """Remembers which pictures it was asked for."""

    def __init__(self, count: int) -> None:
        super().__init__("counting", (1, 2, 2), digest="c")
        self.count, self.asked = count, list[int]()

    def __len__(self) -> int:
        return self.count

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        self.asked += indices.tolist()
        return np.broadcast_to(indices.astype(np.uint8)[:, None, None, None], (len(indices), 1, 2, 2)).copy()


def test_spool_asks_for_each_picture_once() -> None:
    source = Counting(150)
    spooled = SpooledSource(source, 1000)
    first = np.concatenate(list(spooled))
    again = np.concatenate(list(shuffled(spooled, 3)))
    assert sorted(source.asked) == list(range(150))
    assert sorted(again[:, 0, 0, 0].tolist()) == first[:, 0, 0, 0].tolist() == list(range(150))


def test_spool_gives_some_kept_and_some_new_in_order() -> None:
    source = Counting(10)
    spooled = SpooledSource(source, 6)
    spooled.take(np.array([4, 1]))
    assert spooled.take(np.array([5, 1, 4]))[:, 0, 0, 0].tolist() == [5, 1, 4]
    assert source.asked == [4, 1, 5]
    assert spooled.take(np.array([9, 1]))[:, 0, 0, 0].tolist() == [9, 1]


def test_beginning_of_a_shuffle_does_not_depend_on_how_much_is_taken() -> None:
    source = Counting(100)
    assert np.array_equal(
        part(shuffled(source, 5), 0, 10).take(np.arange(10)), part(shuffled(source, 5), 0, 40).take(np.arange(10))
    )


def test_prefetched_gives_the_same_batches() -> None:
    batches = [np.full((1, 1, 1, 1), i, np.uint8) for i in range(20)]
    assert [int(b[0, 0, 0, 0]) for b in prefetched(batches)] == list(range(20))


def test_prefetched_passes_an_error_on() -> None:
    def failing() -> object:
        yield np.zeros((1, 1, 1, 1), np.uint8)
        raise EvaluationError("the second batch")

    batches = prefetched(failing())  # type: ignore[arg-type]
    next(batches)
    with pytest.raises(EvaluationError, match="the second batch"):
        next(batches)


def test_prefetched_ends_its_thread_when_left_early() -> None:
    before = threading.active_count()
    batches = prefetched([np.zeros((1, 1, 1, 1), np.uint8)] * 100)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


class Painter:
    """A generator whose picture is its seed's first latent, in the shade of its class."""

    images, ema, standing, device = 1000, True, False, torch.device("cpu")

    def __init__(self, classes: tuple[str, ...] = ()) -> None:
        self.classes = classes

    def latents(self, seeds: list[int], truncation: float | None = None) -> Tensor:
        return torch.tensor([[float(seed)] for seed in seeds])

    def render(self, latents: Tensor, labels: Tensor | None = None, batch: int = 64) -> NDArray[np.uint8]:
        shade = latents[:, :1] + (0 if labels is None else 100 * labels[:, None])
        return shade.to(torch.uint8).numpy()[:, None, None, :].repeat(4, 1).repeat(4, 2)


@pytest.mark.parametrize(("device", "ahead"), [("cpu", False), ("meta", True)])
def test_a_generator_on_the_cpu_takes_turns_with_the_extractor(device: str, ahead: bool) -> None:
    painter = Painter()
    painter.device = torch.device(device)
    source = GeneratorSource(painter, 10, name="g")
    assert [source.ahead, SpooledSource(source, 5).ahead, shuffled(source, 0).ahead] == [ahead] * 3
    assert Counting(3).ahead


def test_generated_picture_depends_on_its_seed_alone() -> None:
    source = GeneratorSource(Painter(), 10, name="g", first_seed=5)
    assert source.shape == (1, 4, 4)
    assert source.take(np.array([7, 2]))[:, 0, 0, 0].tolist() == [12, 7]
    assert source.facts["seeds"] == "5-14"
    assert source.facts["ema"] is True


def test_classes_are_drawn_as_often_as_asked() -> None:
    source = GeneratorSource(Painter(("a", "b")), 1000, name="g", proportions=np.array([0.9, 0.1]))
    assert source.labels is not None
    assert source.labels.mean() == pytest.approx(0.1, abs=0.03)
    assert (source.take(np.arange(3))[:, 0, 0, 0] == np.arange(3) + 100 * source.labels[:3]).all()


def test_every_source_iterates_in_batches(folder_of: Callable[..., Path]) -> None:
    source = FolderSource(folder_of("f", 70, 0))
    assert [len(batch) for batch in source] == [64, 6]
