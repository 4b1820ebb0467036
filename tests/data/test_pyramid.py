from itertools import pairwise

import numpy as np

from ganforge.data.pyramid import halved, pyramid


def test_each_level_is_the_rounded_mean_of_the_one_above():
    pictures = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 24), dtype=np.uint8)
    levels = pyramid(pictures, 4)
    assert [level.shape[2:] for level in levels] == [(2, 3), (4, 6), (8, 12), (16, 24)]
    for low, high in pairwise(levels):
        mean = high.reshape(5, 3, high.shape[2] // 2, 2, high.shape[3] // 2, 2).mean(axis=(3, 5))
        np.testing.assert_array_equal(low, np.rint(mean).astype(np.uint8))


def test_every_sum_of_four_is_rounded_half_to_even():
    sums = np.arange(1021)
    blocks = np.zeros((1021, 1, 2, 2), np.uint8)
    for place in range(4):
        blocks[:, 0, place // 2, place % 2] = np.clip(sums - 255 * place, 0, 255)
    np.testing.assert_array_equal(halved(blocks).reshape(-1), np.rint(sums / 4).astype(np.uint8))
