import numpy as np
import pytest
from PIL import Image, ImageDraw

from ganforge.data.duplicates import Duplicates, Impression, impression


def scene(seed, tint=(0, 0, 0)):
    """A picture of some shapes, uint8 (3, 64, 64)."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (64, 64), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.integers(0, 48, 2).tolist()
        draw.ellipse((x, y, x + 24, y + 18), tuple(rng.integers(0, 256, 3).tolist()))
    values = np.clip(np.asarray(image).astype(int) + tint, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def test_slightly_changed_pictures_are_near_and_others_are_not():
    duplicates = Duplicates()
    for seed in range(60):
        look = impression(scene(seed))
        assert duplicates.find(None, look) is None
        duplicates.keep(str(seed), None, look)
    for seed in range(60):
        noisy = scene(seed).astype(int) + np.random.default_rng(seed).integers(-4, 5, (3, 64, 64))
        twin = duplicates.find(None, impression(np.clip(noisy, 0, 255).astype(np.uint8)))
        assert twin is not None
        assert twin.name == str(seed)


def test_another_colour_is_not_near():
    duplicates = Duplicates()
    duplicates.keep("grey", None, impression(scene(3)))
    assert duplicates.find(None, impression(scene(3, (2, -2, 1)))) is not None
    assert duplicates.find(None, impression(scene(3, (60, -40, 10)))) is None


def test_nearly_blank_pictures_are_not_all_the_same():
    def dotted(x, y):
        picture = np.full((3, 64, 64), 255, np.uint8)
        picture[:, y : y + 6, x : x + 6] = 90
        return impression(picture)

    duplicates = Duplicates(distance=32)
    duplicates.keep("one", None, dotted(10, 10))
    assert duplicates.find(None, dotted(40, 44)) is None
    assert duplicates.find(None, dotted(10, 10)) is not None


@pytest.mark.parametrize("distance", [0, 1, 4, 10])
def test_the_bands_lose_no_pair_within_the_distance(distance):
    """Compared with looking at every pair."""
    rng = np.random.default_rng(distance)
    hashes = [int(h) for h in rng.integers(0, 2**63, 50, dtype=np.uint64)]
    for kept in hashes[:50]:
        flips = rng.choice(64, int(rng.integers(0, 14)), replace=False)
        hashes.append(kept ^ sum(1 << int(bit) for bit in flips))
    duplicates = Duplicates(distance)
    kept: list[int] = []
    for number, one in enumerate(hashes):
        look = Impression(one, b"\x80" * 64, 100.0)
        nearest = min(((one ^ other).bit_count() for other in kept), default=65)
        twin = duplicates.find(None, look)
        assert (twin.distance if twin else None) == (nearest if nearest <= distance else None)
        if twin is None:
            duplicates.keep(str(number), None, look)
            kept.append(one)
    assert len(kept) < 100


def test_a_chain_of_small_steps_is_thinned_and_not_swallowed():
    duplicates = Duplicates(distance=2)
    kept = []
    for step in range(20):
        look = Impression((1 << step) - 1, b"\x80" * 64, 100.0)
        if duplicates.find(None, look) is None:
            duplicates.keep(str(step), None, look)
            kept.append(step)
    assert kept == list(range(0, 20, 3))


def test_equal_pixels_are_found_first():
    duplicates = Duplicates()
    duplicates.keep("a", b"1", Impression(0, b"\x80" * 64, 9.0))
    duplicates.keep("b", b"2", Impression(2**64 - 1, b"\x80" * 64, 9.0))
    twin = duplicates.find(b"2", Impression(0, b"\x80" * 64, 9.0))
    assert (twin.name, twin.number, twin.distance) == ("b", 1, None)
    assert duplicates.find(b"3", None) is None
