"""Animations, read back from the files."""

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.data.demo import render_face
from ganforge.errors import ConfigError, GanforgeError
from ganforge.images import Pictures, to_uint8
from ganforge.sampling.animation import ENCODERS, write_animation
from ganforge.sampling.walk import walk

PICTURE_FORMATS = (".gif", ".webp", ".png")


def morph(count: int, size: int = 48, channels: int = 3, faces: int = 3) -> list[Pictures]:
    """A loop of `count` frames through cartoon faces: as colourful as what a network makes, each frame another."""
    keys = np.stack([np.asarray(render_face(0, index, size)[0], dtype=float) for index in range(faces)])
    frames = []
    for place in np.arange(count) * faces / count:
        first, share = int(place), place % 1
        frame = np.rint(keys[first] * (1 - share) + keys[(first + 1) % faces] * share).astype(np.uint8)
        hole = np.where(np.hypot(*np.indices((size, size)) - size / 2) < size * (0.2 + place / 20), 255, 0)[..., None]
        frames.append(
            {1: frame[..., :1], 3: frame, 4: np.concatenate([frame, hole], axis=2).astype(np.uint8)}[channels]
        )
    return frames


def read(path: Path, mode: str = "RGB") -> tuple[np.ndarray, list[float]]:
    """Frames (N, H, W, C), and how long each is shown in milliseconds."""
    frames, durations = [], []
    with Image.open(path) as image:
        for place in range(image.n_frames):
            image.seek(place)
            image.load()
            frames.append(np.asarray(image.convert(mode)))
            durations.append(image.info["duration"])
    return np.stack(frames), durations


def colour_tables(path: Path) -> tuple[int, int]:
    """How many frames of a GIF there are, and how many have a colour table of their own: read from the blocks."""
    data = path.read_bytes()
    place, frames, local = 13 + (3 * (2 << (data[10] & 7)) if data[10] & 128 else 0), 0, 0

    def after_blocks(place: int) -> int:
        while data[place]:
            place += data[place] + 1
        return place + 1

    while data[place] != 0x3B:
        if data[place] == 0x21:
            place = after_blocks(place + 2)
        else:
            flags = data[place + 9]
            frames, local = frames + 1, local + bool(flags & 128)
            place = after_blocks(place + 10 + (3 * (2 << (flags & 7)) if flags & 128 else 0) + 1)
    return frames, local


def error_of(shown: np.ndarray, frames: list[Pictures]) -> float:
    factor = shown.shape[1] // frames[0].shape[0]
    return float(np.sqrt(((shown[:, ::factor, ::factor].astype(float) - np.stack(frames)) ** 2).mean()))


@pytest.mark.parametrize("suffix", PICTURE_FORMATS)
def test_frames_size_duration_and_loop_are_as_asked(tmp_path: Path, suffix: str) -> None:
    frames = morph(24)
    path = write_animation(iter(frames), tmp_path / f"walk{suffix}", 20)
    shown, durations = read(path)
    assert shown.shape == (24, 144, 144, 3), "48 pixels are shown three times as large"
    assert durations == [50] * 24
    with Image.open(path) as image:
        assert image.info["loop"] == 0
    assert error_of(shown, frames) < 8
    assert os.listdir(tmp_path) == [path.name]


def test_imageio_reads_what_was_written(tmp_path: Path) -> None:
    path = write_animation(morph(6), tmp_path / "walk.gif", 20)
    assert len(imageio.mimread(path)) == 6


@pytest.mark.parametrize(("suffix", "fps"), [(".gif", 30), (".gif", 24), (".webp", 24), (".png", 7)])
def test_rounded_durations_do_not_add_up(tmp_path: Path, suffix: str, fps: float) -> None:
    _, durations = read(write_animation(morph(30, size=32), tmp_path / f"walk{suffix}", fps))
    assert abs(sum(durations) - 30_000 / fps) <= (10 if suffix == ".gif" else 1)
    assert max(durations) - min(durations) <= (10 if suffix == ".gif" else 1)


def test_a_gif_has_one_palette_for_all_frames_and_does_not_flicker(tmp_path: Path) -> None:
    still, frames = np.asarray(render_face(0, 4, 64)[0]), []
    for place in range(20):
        frame = still.copy()
        frame[:8, 3 * place : 3 * place + 6] = (255 - 9 * place, 40, 9 * place)
        frames.append(frame)
    path = write_animation(frames, tmp_path / "walk.gif", 20)
    assert colour_tables(path) == (20, 0)
    shown, _ = read(path)
    below = shown[:, 20:]
    assert (below == below[0]).all(), "what does not change in the frames does not change in the GIF"
    one = write_animation(frames[:1], tmp_path / "one.gif", 20)
    assert path.stat().st_size < 6 * one.stat().st_size, "pixels that stay are not stored again"


def test_grey_stays_exact(tmp_path: Path) -> None:
    frames = morph(8, channels=1)
    for suffix in (".gif", ".png"):
        shown, _ = read(write_animation(frames, tmp_path / f"walk{suffix}", 10), "L")
        assert error_of(shown[..., None], frames) == 0
    shown, _ = read(write_animation(frames, tmp_path / "walk.webp", 10), "L")
    assert error_of(shown[..., None], frames) < 8


@pytest.mark.parametrize("suffix", PICTURE_FORMATS)
def test_transparency_is_kept_and_frames_do_not_pile_up(tmp_path: Path, suffix: str) -> None:
    frames = morph(9, channels=4)[::-1]
    shown, _ = read(write_animation(frames, tmp_path / f"walk{suffix}", 10), "RGBA")
    assert len(shown) == 9
    alpha = np.stack(frames)[..., 3]
    assert ((shown[:, ::3, ::3, 3] > 127) == (alpha > 127)).all()
    opaque = alpha > 127
    difference = shown[:, ::3, ::3, :3].astype(float)[opaque] - np.stack(frames)[..., :3][opaque]
    assert np.sqrt((difference**2).mean()) < 9


@pytest.mark.parametrize(("size", "side"), [(4, 128), (28, 140), (64, 128), (128, 128), (150, 150)])
def test_small_pictures_are_enlarged_until_they_can_be_seen(tmp_path: Path, size: int, side: int) -> None:
    shown, _ = read(write_animation(morph(3, size), tmp_path / "walk.png", 10))
    assert shown.shape[1:3] == (side, side)
    assert error_of(shown, morph(3, size)) == 0


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_mp4_plays_everywhere(tmp_path: Path, channels: int) -> None:
    """Even sides, yuv420p, H.264, right rate and count; the odd 133x133 gets one more row and column."""
    frames = morph(15, size=133, channels=channels)
    path = write_animation(iter(frames), tmp_path / "walk.mp4", 15)
    # Asked of ffmpeg itself: imageio's reader leaves its pipes open now and then, which is an error here.
    tool = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    played = subprocess.run(tool, capture_output=True, check=True)
    stream = next(line for line in played.stderr.decode().splitlines() if "Video: h264" in line)
    assert "yuv420p" in stream
    assert "134x134" in stream
    assert "15 fps" in stream
    shown = np.frombuffer(played.stdout, dtype=np.uint8).reshape(-1, 134, 134, 3)
    assert len(shown) == 15
    if channels == 3:
        assert error_of(shown[:, :133, :133], frames) < 12
    if channels == 4:
        assert shown[:, 2, 2].min() > 245, "white shows through"


def test_mp4_and_folders_take_one_frame_at_a_time(tmp_path: Path) -> None:
    alive: set[int] = set()

    class Watched(np.ndarray):
        def __del__(self) -> None:
            alive.discard(id(self))

    def frames() -> Iterator[Pictures]:
        for frame in morph(40, size=128):
            watched = frame.copy().view(Watched)
            alive.add(id(watched))
            assert len(alive) < 6
            yield watched

    write_animation(frames(), tmp_path / "walk.mp4", 10)
    write_animation(frames(), tmp_path / "walk", 10)


def test_a_folder_of_numbered_pictures(tmp_path: Path) -> None:
    frames = morph(11)
    path = write_animation(iter(frames), tmp_path / "walk", 10)
    assert sorted(os.listdir(path)) == [f"frame-{place:05d}.png" for place in range(11)]
    shown = np.stack([np.asarray(Image.open(file)) for file in sorted(path.iterdir())])
    assert error_of(shown, frames) == 0
    write_animation(frames[:4], path, 10)
    assert len(os.listdir(path)) == 4, "a folder of frames is replaced whole"
    (path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(GanforgeError, match="other files"):
        write_animation(frames, path, 10)
    assert (path / "holiday.jpg").exists()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4", ".png", ""])
def test_a_size_budget_is_kept_and_what_was_done_is_said(tmp_path: Path, suffix: str) -> None:
    frames = morph(40, size=96)

    def size(path: Path) -> float:
        return sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir())) / 1e6

    whole = size(write_animation(frames, tmp_path / f"whole{suffix}", 20))
    said: list[str] = []
    for share in (1.1, 0.6, 0.25):
        path = write_animation(frames, tmp_path / f"walk{suffix}", 20, max_mb=whole * share, say=said.append)
        assert size(path) <= whole * share
    assert len(said) == 2, "nothing is said where nothing was reduced"
    assert "of the 40 frames" in said[0]
    assert all("\n" not in sentence for sentence in said)
    assert sorted(os.listdir(tmp_path)) == [f"walk{suffix}", f"whole{suffix}"]


def test_fewer_frames_take_as_long(tmp_path: Path) -> None:
    frames = morph(40, size=96)
    whole = write_animation(frames, tmp_path / "whole.gif", 20)
    path = write_animation(frames, tmp_path / "walk.gif", 20, max_mb=whole.stat().st_size * 0.75 / 1e6)
    shown, durations = read(path)
    assert 20 <= len(shown) < 40
    assert abs(sum(durations) - 2000) <= 10


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_an_impossible_budget_is_refused_and_nothing_is_left(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"walk{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(GanforgeError, match=r"--max-mb 0\.0001") as refused:
        write_animation(morph(12), path, 20, max_mb=0.0001)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


def test_a_gif_faster_than_gifs_are_shown_is_slowed_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    _, durations = read(write_animation(morph(6), tmp_path / "walk.gif", 60, say=said.append))
    assert durations == [20] * 6
    assert "50 frames a second" in said[0]


@pytest.mark.parametrize("suffix", PICTURE_FORMATS)
def test_a_walk_loops_without_a_seam_in_the_file(tmp_path: Path, suffix: str) -> None:
    """From latents to the file: the last picture is as near to the first as any is to the next."""
    paint = torch.randn(16, 3 * 16 * 16, generator=torch.Generator().manual_seed(1))
    keys = torch.randn(4, 16, generator=torch.Generator().manual_seed(2))
    for curve in ("slerp", "noise"):
        images = torch.tanh(0.3 * walk(keys, 60, curve, loop=True) @ paint).reshape(60, 3, 16, 16)
        shown, _ = read(write_animation(to_uint8(images), tmp_path / f"walk{suffix}", 20))
        assert len(shown) == 60
        steps = np.abs(np.diff(shown.astype(float), axis=0, append=shown[:1].astype(float))).mean(axis=(1, 2, 3))
        assert 0.4 * np.median(steps) < steps[-1] < 1.8 * np.median(steps)


def test_a_failure_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    def frames() -> Iterator[Pictures]:
        yield from morph(5)
        raise KeyboardInterrupt

    for suffix in ENCODERS:
        path = tmp_path / f"walk{suffix}"
        if suffix:
            path.write_bytes(b"old")
        with pytest.raises(KeyboardInterrupt):
            write_animation(frames(), path, 10)
        assert (path.read_bytes() == b"old") if suffix else not path.exists()
    assert len(os.listdir(tmp_path)) == len(ENCODERS) - 1


def test_mp4_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "imageio_ffmpeg" else found(name))
    with pytest.raises(ConfigError, match=r"pip install 'ganforge\[video\]'") as refused:
        write_animation(morph(2), tmp_path / "walk.mp4", 10)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "fps", "max_mb", "says"),
    [
        ("walk.avi", 10, None, r"\.gif, \.mp4, \.png, \.webp"),
        ("walk.gif", 0, None, "--fps 0"),
        ("walk.gif", 10, 0.0, "--max-mb 0"),
    ],
)
def test_nonsense_is_refused_before_any_frame_is_made(
    tmp_path: Path, name: str, fps: float, max_mb: float | None, says: str
) -> None:
    def frames() -> Iterator[Pictures]:
        raise AssertionError("a frame was asked for")
        yield

    with pytest.raises(ConfigError, match=says) as refused:
        write_animation(frames(), tmp_path / name, fps, max_mb=max_mb)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("suffix", ENCODERS)
def test_no_frame_and_mixed_frames_are_defects_of_the_caller(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        write_animation([], tmp_path / f"walk{suffix}", 10)
    with pytest.raises(ValueError, match="in one animation"):
        write_animation([*morph(2, 48), *morph(1, 32)], tmp_path / f"walk{suffix}", 10)
    assert not os.listdir(tmp_path)


def test_one_frame_is_an_animation_too(tmp_path: Path) -> None:
    for suffix in ENCODERS:
        assert write_animation(morph(1), tmp_path / f"walk{suffix}", 10).exists()


def test_one_colour_is_enough(tmp_path: Path) -> None:
    for channels in (1, 3, 4):
        flat = [np.full((130, 130, channels), value, dtype=np.uint8) for value in (255, 255, 254)]
        shown, durations = read(write_animation(flat, tmp_path / "walk.gif", 10))
        assert sum(durations) == 300
        assert np.abs(shown.astype(int) - 255).max() <= 3
