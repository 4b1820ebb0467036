from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganforge.evaluation.extractors import load_extractor
from ganforge.evaluation.features import extract, extract_kept
from ganforge.evaluation.pictures import ArraySource, part, shuffled

Draw = Callable[..., ArraySource]


def test_one_pass_serves_every_extractor(draw: Draw, tiny: Any, cpu: torch.device) -> None:
    source = draw(70, 0)
    seen = []
    first, second = extract(source, [tiny(), tiny()], cpu, seen.append)
    assert np.array_equal(first.values, second.values)
    assert first.values.shape == (70, 48)
    assert sum(seen) == 70


def test_rows_follow_the_pictures(draw: Draw, tiny: Any, cpu: torch.device) -> None:
    source = draw(70, 0)
    [whole] = extract(source, [tiny()], cpu)
    [moved] = extract(shuffled(source, 1), [tiny()], cpu)
    order = np.random.default_rng(1).permutation(70)
    assert np.array_equal(whole.values[order], moved.values)


def test_kept_features_are_not_made_again(draw: Draw, tiny: Any, cpu: torch.device, tmp_path: Path) -> None:
    first = extract_kept(draw(90, 0), 50, tiny(), tmp_path, cpu)
    assert tiny.calls == 50
    again = extract_kept(draw(90, 0), 50, tiny(), tmp_path, cpu)
    assert tiny.calls == 50
    assert np.array_equal(first.values, again.values)


def test_more_pictures_make_only_the_rest(draw: Draw, tiny: Any, cpu: torch.device, tmp_path: Path) -> None:
    extract_kept(draw(90, 0), 50, tiny(), tmp_path, cpu)
    more = extract_kept(draw(90, 0), 80, tiny(), tmp_path, cpu)
    assert tiny.calls == 80
    [expected] = extract(draw(90, 0), [tiny()], cpu)
    assert np.array_equal(more.values, expected.values[:80])
    assert np.array_equal(more.logits, expected.logits[:80])


def test_fewer_pictures_leave_what_is_kept(draw: Draw, tiny: Any, cpu: torch.device, tmp_path: Path) -> None:
    extract_kept(draw(90, 0), 80, tiny(), tmp_path, cpu)
    assert len(extract_kept(draw(90, 0), 10, tiny(), tmp_path, cpu)) == 10
    extract_kept(draw(90, 0), 80, tiny(), tmp_path, cpu)
    assert tiny.calls == 80


def test_other_pictures_have_other_features(draw: Draw, tiny: Any, cpu: torch.device, tmp_path: Path) -> None:
    extract_kept(draw(20, 0), 20, tiny(), tmp_path, cpu)
    extract_kept(draw(20, 1), 20, tiny(), tmp_path, cpu)
    assert tiny.calls == 40


@pytest.mark.parametrize("harm", ["cut", "other shape", "gone"])
def test_damaged_cache_is_made_again(draw: Draw, tiny: Any, cpu: torch.device, tmp_path: Path, harm: str) -> None:
    first = extract_kept(draw(20, 0), 20, tiny(), tmp_path, cpu)
    [file] = tmp_path.glob("*/values.npy")
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:300])
    elif harm == "other shape":
        np.save(file, np.zeros((20, 3), np.float32))
    else:
        file.unlink()
    again = extract_kept(draw(20, 0), 20, tiny(), tmp_path, cpu)
    assert np.array_equal(first.values, again.values)
    assert tiny.calls == 40


def test_cache_that_cannot_be_written_is_done_without(draw: Draw, tiny: Any, cpu: torch.device, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(extract_kept(draw(20, 0), 20, tiny(), tmp_path / "file" / "cache", cpu)) == 20


def test_packaged_extractor_does_not_depend_on_the_batch(draw: Draw, cpu: torch.device) -> None:
    lite0 = load_extractor("efficientnet-lite0", None, cpu)
    source = draw(5, 0)
    [whole] = extract(source, [lite0], cpu)
    [one] = extract(part(source, 3, 4), [lite0], cpu)
    assert one.values[0] == pytest.approx(whole.values[3], abs=1e-4)
