"""Pictures as arrays and files."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge import images
from ganforge.errors import GanforgeError
from ganforge.images import enlarge, grid, over_checkerboard, replacing, save_picture, to_image, to_uint8


def ramp(count: int, height: int, width: int, channels: int) -> np.ndarray:
    return (
        (np.arange(count * height * width * channels) * 7 % 256)
        .astype(np.uint8)
        .reshape(count, height, width, channels)
    )


def test_every_byte_survives_the_way_to_a_network_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.float32).reshape(1, 1, 16, 16)
    for dtype in (torch.float32, torch.float64):
        back = to_uint8((pixels / 127.5 - 1).to(dtype))
        assert back.shape == (1, 16, 16, 1)
        assert (back[0, :, :, 0] == pixels[0, 0].numpy()).all()


def test_values_outside_are_cut_off_and_none_wraps_around() -> None:
    values = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0, float("nan"), float("inf"), -float("inf")]).reshape(1, 1, 1, 8)
    assert to_uint8(values).ravel().tolist() == [0, 0, 128, 255, 255, 0, 255, 0]


def test_channels_go_last_and_stay_in_order() -> None:
    picture = torch.stack([torch.full((2, 3), value) for value in (-1.0, 0.0, 1.0)])[None]
    assert to_uint8(picture.to(torch.bfloat16)).shape == (1, 2, 3, 3)
    assert to_uint8(picture)[0, 0, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGB")])
def test_grid_puts_each_picture_in_its_place(channels: int, mode: str) -> None:
    pictures = ramp(7, 64, 80, channels)
    pictures[..., 3:] = 255
    sheet = grid(pictures, columns=3, gap=2)
    assert sheet.mode == mode
    assert sheet.size == (3 * 82 - 2, 3 * 66 - 2)
    pixels = np.atleast_3d(np.asarray(sheet))
    for place in range(7):
        top, left = place // 3 * 66, place % 3 * 82
        assert (pixels[top : top + 64, left : left + 80] == pictures[place][..., :3]).all()
    assert (pixels[-64:, -80:] == 255).all(), "a place without a picture is white"
    assert (pixels[64:66] == 255).all()


def test_tiny_pictures_are_enlarged_until_they_can_be_seen() -> None:
    pictures = ramp(4, 4, 4, 3)
    sheet = grid(pictures, columns=2, gap=0)
    assert sheet.size == (128, 128)
    assert (np.asarray(sheet)[::16, ::16][:4, :4] == pictures[0]).all()
    assert grid(pictures, columns=2, gap=0, scale=1).size == (8, 8)
    assert grid(ramp(1, 28, 28, 1)).size == (84, 84)


def test_grid_is_about_square_when_nobody_says_how_wide() -> None:
    for height, width in ((64, 64), (64, 128), (192, 64)):
        wide, high = grid(ramp(24, height, width, 1)).size
        assert 0.5 < wide / high < 2


def test_transparency_is_shown_or_kept() -> None:
    clear = np.zeros((2, 64, 64, 4), dtype=np.uint8)
    shown = np.asarray(grid(clear, columns=2))
    assert set(np.unique(shown)) == {214, 255}
    kept = grid(clear, columns=2, checkerboard=False)
    assert kept.mode == "RGBA"
    assert np.asarray(kept)[..., 3].max() == 0


def test_opaque_pictures_do_not_change_over_a_checkerboard() -> None:
    pictures = ramp(2, 9, 7, 4)
    pictures[..., 3] = 255
    assert (over_checkerboard(pictures) == pictures[..., :3]).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_row_labels_stand_beside_their_rows(channels: int) -> None:
    pictures = ramp(6, 64, 64, channels)
    bare, labelled = (grid(pictures, columns=2, row_labels=names) for names in (None, ["ankle boot", "", "coat"]))
    margin = labelled.width - bare.width
    assert labelled.height == bare.height
    assert 40 < margin < 200
    pixels = np.atleast_3d(np.asarray(labelled))
    assert (pixels[:, margin:] == np.atleast_3d(np.asarray(bare))).all()
    inked = [bool((pixels[top : top + 64, :margin] < 128).any()) for top in (0, 66, 132)]
    assert inked == [True, False, True]


def test_grid_refuses_what_it_cannot_show() -> None:
    for pictures in (np.empty((0, 4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 2), np.uint8)):
        with pytest.raises(ValueError):
            grid(pictures)
    with pytest.raises(ValueError, match="2 labels for 1 rows"):
        grid(ramp(2, 64, 64, 1), columns=2, row_labels=["a", "b"])


def test_enlarge_takes_one_picture_or_many() -> None:
    many = ramp(3, 2, 5, 3)
    assert (enlarge(many, 3)[1] == enlarge(many[1], 3)).all()
    assert (enlarge(many, 3)[:, ::3, ::3] == many).all()


@pytest.mark.parametrize("suffix", images.WRITABLE)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_writable_extension_writes_every_kind(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / "new" / f"picture{suffix}"
    save_picture(to_image(ramp(1, 16, 24, channels)[0]), path)
    with Image.open(path) as image:
        assert image.size == (24, 16)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["grid.pgn", "grid", "grid.mp4"])
def test_an_unknown_extension_is_refused_with_those_that_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(GanforgeError, match=r"\.png") as refused:
        save_picture(to_image(ramp(1, 4, 4, 3)[0]), tmp_path / name)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["grid.png"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "file" / "grid.png", tmp_path / "folder.png"):
        with pytest.raises(GanforgeError, match="cannot be written") as refused:
            save_picture(to_image(ramp(1, 4, 4, 3)[0]), path)
        assert "\n" not in str(refused.value)
