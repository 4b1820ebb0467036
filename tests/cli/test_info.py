"""What `ganforge info` says of architectures and runs."""

import json
from pathlib import Path

import pytest

from ganforge.config import RunConfig
from ganforge.networks import build_discriminator, build_generator, parameters
from ganforge.presets import default_for
from toy import toy_config
from typed import typed

Captured = pytest.CaptureFixture[str]


def default(arch: str, resolution: int, base: int) -> RunConfig:
    return default_for(arch, base=(base, base), resolution=resolution, channels=1, classes=0, count=10_000, gpu=False)


@pytest.mark.parametrize(("arch", "resolution", "base"), [("dcgan", 28, 7), ("sagan", 32, 4), ("pggan", 48, 3)])
def test_layers_of_both_networks_are_shown_and_add_up(
    arch: str, resolution: int, base: int, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert typed(monkeypatch, "info", "--arch", arch, "--max-res", str(resolution), "--channels", "1") == 0
    shown = capsys.readouterr().out
    network = default(arch, resolution, base).network
    sums = [line for line in shown.splitlines() if "in all" in line]
    for built in (build_generator(network), build_discriminator(network)):
        assert f" {parameters(built):,} " in shown
    assert len(sums) == 2
    assert f"1 x {resolution} x {resolution}" in sums[0]
    assert "one score" in sums[1]
    assert "Generator from" in shown


def test_layers_of_a_preset_are_shown(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    assert typed(monkeypatch, "info", "--preset", "dcgan-mnist") == 0
    shown = capsys.readouterr().out
    assert "837,377" in shown  # the article's generator
    assert "1 x 28 x 28" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["info", "--arch", "stylegan"], "known: dcgan, pggan, sagan"),
        (["info", "--arch", "dcgan", "--max-res", "100"], "100"),
        (["info", "runs/1", "--arch", "dcgan"], "not both"),
        (["info", "--preset", "dcgan-mnist", "--max-res", "64"], "leave --arch and --max-res out"),
        (["info", "nowhere"], "nowhere"),
    ],
)
def test_what_is_not_there_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, *words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ganforge: ")]
    assert said in line


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that stopped at 80 of 160 images, with an incident and a change."""
    folder = tmp_path / "runs/0003-pggan-faces"
    (folder / "checkpoints").mkdir(parents=True)
    config = toy_config().changed({"data.path": "datasets/faces", "data.count": 4000})
    history = [{"images": 40, "changes": {"kimg": 0.16}}]
    record = {"format": 1, "config": config.model_dump(mode="json"), "history": history}
    (folder / "run.json").write_text(json.dumps(record))
    line = {"images": 80, "phase": "8x8 stable", "alpha": 1.0, "images_per_second": 12.5, "elapsed": 90.0}
    (folder / "log.jsonl").write_text(json.dumps({**line, "loss/d": 0.25, "loss/g": 1.5, "accuracy/real": 0.75}) + "\n")
    incident = {"images": 48, "kind": "x", "what": "out of memory", "done": "micro-batches of 4"}
    (folder / "incidents.jsonl").write_text(json.dumps(incident) + "\n")
    for images in (32, 80):
        (folder / "checkpoints" / f"checkpoint-{images:012d}.pt").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize("name", ["3", "0003-pggan-faces", "runs/0003-pggan-faces"])
def test_a_run_says_what_it_is_and_where_it_stands(
    name: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert typed(monkeypatch, "info", name) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for fact in (
        "run runs/0003-pggan-faces",
        "pggan 16x16x3, no classes",
        "wgan, gradient 10, drift 0.001",
        "0.08 of 0.16 kimg (50%), 8x8 stable",
        "d 0.25, g 1.5",
        "real 0.75",
        "0.048 kimg",
        "2, at 0.032, 0.08 kimg",
        "kimg=0.16",
    ):
        assert fact in shown
