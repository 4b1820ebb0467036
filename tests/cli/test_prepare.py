"""The command as it is typed: what it prints where, and with which exit code it ends."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

PROGRAM = [sys.executable, "-m", "ganforge", "prepare"]


@pytest.fixture
def images(tmp_path):
    for number in range(6):
        path = tmp_path / "images" / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (45, 40), (number * 20, 0, 99)).save(path)
    (tmp_path / "images" / "class 0" / "bad.jpg").write_text("words")
    return tmp_path


def run(folder, *arguments):
    environment = {**os.environ, "COLUMNS": "120"}
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, env=environment, check=False
    )


def test_the_first_line_of_the_main_job_works_as_it_stands(images):
    done = run(images, "./images")
    assert (done.returncode, done.stdout) == (0, "datasets/images\n")
    for said in ("7 files", "2 classes", "4x4 to 32x32", "kept", "not-a-picture", "channels: 3", "class 0 3"):
        assert said in done.stderr
    assert (images / "datasets" / "images" / "images-32x32.npy").exists()


def test_a_refusal_is_one_line_and_code_2(images):
    for arguments in (
        ["nowhere"],
        ["images", "--max-res", "100"],
        ["images", "--max-res", "big"],
        ["images", "--crop", "1,2,3"],
        ["images", "--fit", "zoom"],
        ["images", "--on-error", "stop"],
        ["images", "--holdout", "2"],
        ["images", "--labels", "none.csv"],
        ["images", "--stack", "2"],
    ):
        done = run(images, *arguments)
        refusals = [line for line in done.stderr.splitlines() if line.startswith("ganforge: ")]
        assert (done.returncode, done.stdout, len(refusals)) == (2, "", 1), done.stderr
        assert "Traceback" not in done.stderr
    assert [path.name for path in images.iterdir()] == ["images"]


def test_a_check_prints_the_problems_and_what_would_treat_them(images):
    done = run(images, "images", "--check")
    assert done.returncode == 0
    for said in (
        "not a picture",
        "class 0/bad.jpg",
        "convert it to PNG",
        "6 would be kept, 1 left out",
        "nothing was written",
    ):
        assert said in done.stdout
    assert [path.name for path in images.iterdir()] == ["images"]


def test_options_reach_the_dataset(images):
    done = run(
        images, "images", "--out", "d", "--max-res", "16", "--mirror", "--channels", "1", "--only", "class 1",
        "--holdout", "0.4", "--workers", "0", "--dedupe", "near", "--background", "#102030",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads((images / "d" / "dataset.json").read_text())
    assert (facts["resolutions"], facts["mirror"], facts["channels"]) == ([4, 8, 16], True, 1)
    assert facts["classes"] == ["class 1"]
    assert facts["options"]["background"] == "#102030"


def test_stack_makes_three_grey_pictures_one(images):
    done = run(images, "images", "--stack", "3", "--count", "40", "--out", "d", "--workers", "0")
    assert (done.returncode, done.stdout) == (0, "d\n"), done.stderr
    assert "stacks: 40 of 6 pictures; 8 classes" in done.stderr
    facts = json.loads((images / "d" / "dataset.json").read_text())
    assert (facts["count"], facts["channels"], facts["classes"][-1]) == (40, 3, "111")


def test_force_is_asked_for(images):
    assert run(images, "images").returncode == 0
    again = run(images, "images")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert run(images, "images", "--force").returncode == 0


def test_info_shows_the_dataset_again_and_verifies_it(images):
    assert run(images, "images", "--holdout", "0.3").returncode == 0
    info = [sys.executable, "-m", "ganforge", "info"]
    done = subprocess.run([*info, "--verify"], cwd=images, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for said in ("kept", "class 0", "not-a-picture", "all arrays are as written"):
        assert said in done.stdout
    array = images / "datasets" / "images" / "images-8x8.npy"
    array.write_bytes(array.read_bytes()[:-1] + b"\x07")
    done = subprocess.run(
        [*info, "datasets/images", "--verify"], cwd=images, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "is not what was written" in done.stderr
