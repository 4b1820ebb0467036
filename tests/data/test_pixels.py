"""The torture tests of single pictures: every mode, orientation, profile and kind of damage."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from ganforge.data.pixels import DRAFT_MARGIN, Look, convert, fingerprint, survey
from ganforge.data.problems import Rejected, Trait

SIDE = 32
MEGAPIXELS = 10_000_000


def look(**changes):
    return Look(
        **{
            "size": (SIDE, SIDE),
            "channels": 3,
            "fit": "crop",
            "crop": None,
            "background": (255, 255, 255),
            "min_side": 1,
            **changes,
        }
    )


def colourful(height=SIDE, width=SIDE):
    """An RGB picture without any symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], axis=2).astype(np.uint8)


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def pixels(file, **changes):
    return convert(file, look(**changes), MEGAPIXELS)


def hwc(picture):
    return picture.transpose(1, 2, 0)


def reason(file, **changes):
    with pytest.raises(Rejected) as rejected:
        pixels(file, **changes)
    return rejected.value.reason, rejected.value.detail


# -- modes -----------------------------------------------------------------------------------------------------------

RGB = Image.fromarray(colourful())
GREY = RGB.convert("L")


def test_rgb_passes_unchanged():
    picture, traits = pixels(saved(RGB))
    np.testing.assert_array_equal(hwc(picture), colourful())
    assert traits == Trait(0)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("RGB", "PNG"),
        ("RGBA", "PNG"),
        ("I;16", "PNG"),
        ("I", "TIFF"),
        ("F", "TIFF"),
        ("CMYK", "TIFF"),
        ("CMYK", "JPEG"),
        ("YCbCr", "TIFF"),
        ("LAB", "TIFF"),
        ("RGB", "WEBP"),
        ("RGB", "GIF"),
        ("RGB", "BMP"),
        ("RGB", "JPEG"),
    ],
)
def test_every_mode_becomes_what_it_shows(mode, kind, channels):
    image = RGB.convert("L") if mode in ("I;16", "I", "F") else RGB
    if mode == "I;16":
        image = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
    elif mode == "I":
        image = Image.fromarray(np.asarray(GREY).astype(np.int32) * 257)
    elif mode == "LAB":
        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = to_lab.apply(RGB)
    elif mode != "RGB":
        image = image.convert(mode)
    picture, _ = pixels(saved(image, kind), channels=channels)
    assert picture.shape == (channels, SIDE, SIDE)
    grey = mode in ("1", "L", "LA", "I;16", "I", "F")
    wanted = np.asarray((image.convert("L") if mode == "1" else GREY) if grey or channels == 1 else RGB).astype(int)
    wanted = wanted[..., None] if wanted.ndim == 2 else wanted
    got = hwc(picture)[..., :3].astype(int)
    slack = {"JPEG": 12, "WEBP": 40, "GIF": 26}.get(kind, 0) or {"P": 26, "LAB": 12, "YCbCr": 3}.get(mode, 1)
    error = np.abs(got - wanted)
    assert error.mean() <= slack
    if channels == 4:
        assert (picture[3] == 255).all()


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("GIF", "P"), ("WEBP", "RGBA")]
)
def test_transparency_is_flattened_on_the_background(kind, mode):
    values = np.zeros((SIDE, SIDE, 4), np.uint8)
    values[:, :16] = (10, 10, 10, 255)  # the right half is transparent black
    image = Image.fromarray(values)
    options = {"lossless": True} if kind == "WEBP" else {}
    if mode == "P":
        image = Image.fromarray((values[..., 3] == 0).astype(np.uint8))
        image.putpalette([10, 10, 10, 0, 0, 0])
        options = {"transparency": 1}
    elif mode == "LA":
        image = image.convert("LA")
    picture, traits = pixels(saved(image, kind, **options), background=(200, 100, 0))
    assert Trait.TRANSPARENT in traits
    assert hwc(picture)[5, 5].tolist() == [10, 10, 10]
    assert hwc(picture)[5, 25].tolist() == [200, 100, 0]


def test_half_transparency_is_blended():
    image = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 128))
    assert np.unique(pixels(saved(image))[0]).tolist() == [127]


def test_transparency_is_kept_as_a_fourth_channel_over_the_background():
    values = np.zeros((SIDE, SIDE, 4), np.uint8)
    values[:, :16] = (10, 20, 30, 255)
    values[0, 0] = (40, 50, 60, 100)
    picture, traits = pixels(saved(Image.fromarray(values)), channels=4)
    assert Trait.TRANSPARENT in traits
    assert hwc(picture)[0, 0].tolist() == [40, 50, 60, 100]
    assert hwc(picture)[9, 9].tolist() == [10, 20, 30, 255]
    assert hwc(picture)[9, 29].tolist() == [255, 255, 255, 0]


def test_colours_of_transparent_pixels_do_not_bleed_when_reduced():
    values = np.zeros((4 * SIDE, 4 * SIDE, 4), np.uint8)
    values[..., :3] = (0, 255, 0)  # green that must not be seen
    values[:, : 2 * SIDE + 2] = (200, 0, 0, 255)
    picture, _ = pixels(saved(Image.fromarray(values)), channels=4)
    seen = picture[3] > 40
    assert picture[1][seen].max() <= 1


def test_an_opaque_alpha_channel_is_no_transparency():
    _, traits = pixels(saved(RGB.convert("RGBA")))
    assert Trait.TRANSPARENT not in traits


def test_sixteen_bits_are_rounded_to_eight():
    values = np.array(
        [[0, 128, 129, 257], [32767, 32768, 65406, 65407], [65535, 384, 386, 25700], [1, 2, 3, 4]], np.uint16
    )
    picture, traits = pixels(saved(Image.fromarray(values)), size=(4, 4), channels=1)
    np.testing.assert_array_equal(picture[0], np.rint(values / 257))
    assert traits == Trait.DEEP


@pytest.mark.parametrize(("top", "white"), [(1.0, 1.0), (255.0, 255.0), (65535.0, 65535.0)])
def test_floating_point_values_are_scaled_by_their_range(top, white):
    values = np.linspace(0, top, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    picture, _ = pixels(saved(Image.fromarray(values), "TIFF"), channels=1)
    assert np.abs(picture[0] - values / white * 255).max() <= 0.51


@pytest.mark.parametrize("value", [-1.0, 70000.0, np.nan, np.inf])
def test_values_that_are_no_light_are_refused(value):
    values = np.zeros((SIDE, SIDE), np.float32)
    values[3, 3] = value
    assert reason(saved(Image.fromarray(values), "TIFF"))[0] == "odd-values"


# -- colour profiles -------------------------------------------------------------------------------------------------


def exchanged_profile():
    """An sRGB profile whose red and green primaries are exchanged, so that its red is our green."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "none".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_colour_profiles_are_converted_to_srgb(mode, kind):
    image = Image.new("RGBA" if mode == "RGBA" else "RGB", (SIDE, SIDE), (255, 0, 0, 90)[: len(mode)])
    image = image.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else image
    picture, traits = pixels(saved(image, kind, icc_profile=exchanged_profile()), channels=4)
    assert Trait.PROFILE in traits
    assert np.abs(hwc(picture)[4, 4][:3].astype(int) - (0, 255, 0)).max() <= 2
    assert picture[3, 4, 4] == (90 if mode == "RGBA" else 255)


def test_a_profile_that_is_srgb_or_damaged_changes_nothing():
    for profile in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"nonsense" * 20):
        picture, traits = pixels(saved(RGB, icc_profile=profile))
        np.testing.assert_array_equal(hwc(picture), colourful())
        assert traits == Trait(0)


# -- orientation -----------------------------------------------------------------------------------------------------


def oriented(orientation, kind, size=(48, 64)):
    """A file that shows `colourful` upright only once its EXIF orientation is obeyed."""
    upright = Image.fromarray(colourful(*size))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpose that stores it so
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(stored, kind, exif=exif.tobytes(), **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}))
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue()))).size == upright.size
    return file, upright


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_1_to_8_come_out_upright(orientation, kind):
    file, upright = oriented(orientation, kind)
    assert survey(io.BytesIO(file.getvalue()), MEGAPIXELS)[:2] == (48, 64)
    picture, traits = pixels(file, size=(48, 64))
    error = np.abs(hwc(picture).astype(int) - np.asarray(upright))
    assert error.mean() <= {"PNG": 0, "TIFF": 0, "JPEG": 6, "WEBP": 16}[kind]
    assert (Trait.ROTATED in traits) == (orientation != 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_of_the_upright_picture(orientation):
    file, upright = oriented(orientation, "PNG")
    picture, _ = pixels(file, crop=(20, 4, 32, 32))
    np.testing.assert_array_equal(hwc(picture), np.asarray(upright)[4:36, 20:52])


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_reduced_jpeg_is_cut_at_the_same_place(orientation):
    file, _ = oriented(orientation, "JPEG", size=(600, 800))
    whole = Image.fromarray(colourful(600, 800))
    picture, _ = pixels(file, crop=(300, 100, 400, 480))
    left, top, side = 300, 140, 400
    wanted = whole.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    assert np.abs(hwc(picture).astype(int) - np.asarray(wanted))[..., :2].mean() < 1.5


def test_damaged_exif_data_does_not_matter():
    picture, traits = pixels(saved(RGB, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=100, subsampling=0))
    assert picture.shape == (3, SIDE, SIDE)
    assert Trait.ROTATED not in traits


# -- size ------------------------------------------------------------------------------------------------------------


def test_the_largest_level_is_the_lanczos_reduction_of_the_original():
    image = Image.fromarray(colourful(100, 140))
    picture, _ = pixels(saved(image))
    wanted = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=(20, 0, 120, 100))
    np.testing.assert_array_equal(hwc(picture), np.asarray(wanted))


def test_a_wide_picture_is_cropped_padded_or_stretched():
    image = Image.new("RGB", (96, 32), (0, 0, 255))
    image.paste((255, 0, 0), (32, 0, 64, 32))
    red, blue, white = (255, 0, 0), (0, 0, 255), (255, 255, 255)
    cropped, traits = pixels(saved(image))
    assert Trait.CROPPED in traits
    assert {tuple(c) for c in hwc(cropped).reshape(-1, 3).tolist()} == {red}
    padded = hwc(pixels(saved(image), fit="pad")[0])
    assert [tuple(padded[y, x].tolist()) for y, x in ((0, 16), (31, 16), (16, 2), (16, 16))] == [
        white,
        white,
        blue,
        red,
    ]
    stretched = hwc(pixels(saved(image), fit="stretch")[0])
    assert [tuple(stretched[y, x].tolist()) for y, x in ((0, 2), (0, 16), (31, 30))] == [blue, red, blue]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_padding_has_the_background_in_every_mode(channels):
    picture, _ = pixels(saved(Image.new("L", (64, 32))), fit="pad", channels=channels, background=(90, 90, 90))
    assert hwc(picture)[0, 0].tolist() == [90, 90, 90, 0][:channels] if channels > 1 else picture[0, 0, 0] == 90


def test_what_must_be_enlarged_is_noticed_and_what_must_be_enlarged_too_much_refused():
    assert pixels(saved(Image.new("RGB", (31, 40))))[1] & Trait.ENLARGED
    assert not pixels(saved(Image.new("RGB", (32, 40))))[1] & Trait.ENLARGED
    assert reason(saved(Image.new("RGB", (40, 15))), min_side=16) == ("too-small", "15x40")
    assert pixels(saved(Image.new("RGB", (40, 15))), min_side=16, fit="pad")[0].shape == (3, SIDE, SIDE)


def test_a_picture_that_does_not_hold_the_crop_is_refused():
    assert reason(saved(RGB), crop=(1, 0, 32, 32)) == ("outside-crop", "32x32")


@pytest.mark.parametrize("side", [1, 2, 3])
def test_the_smallest_pictures_are_enlarged(side):
    assert (pixels(saved(Image.new("RGB", (side, side), (9, 8, 7))))[0][:, 0, 0] == (9, 8, 7)).all()


def test_extreme_proportions_are_taken():
    assert pixels(saved(Image.new("RGB", (3000, 1), (9, 8, 7))), fit="pad")[0].shape == (3, SIDE, SIDE)
    assert pixels(saved(Image.new("RGB", (1, 3000), (9, 8, 7))))[0].shape == (3, SIDE, SIDE)


def test_reduced_decoding_of_jpegs_stays_within_rounding():
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8))
    image = coarse.resize((int(SIDE * DRAFT_MARGIN * 9), int(SIDE * DRAFT_MARGIN * 9)), Image.Resampling.BICUBIC)
    file = saved(image, "JPEG", quality=92)
    full = Image.open(io.BytesIO(file.getvalue())).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    error = np.abs(hwc(pixels(file)[0]).astype(int) - np.asarray(full))
    assert error.mean() < 0.6
    assert error.max() <= 8


# -- damage ----------------------------------------------------------------------------------------------------------


def test_an_empty_file_is_empty():
    assert reason(io.BytesIO())[0] == "empty"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_files_cut_short_are_refused_and_never_half_taken(kind):
    whole = saved(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind
    ).getvalue()
    for share in (0.3, 0.6, 0.9):
        found, _ = reason(io.BytesIO(whole[: int(len(whole) * share)]))
        assert found in ("truncated", "corrupt", "not-a-picture")


def test_a_truncated_jpeg_says_so():
    whole = saved(RGB, "JPEG").getvalue()
    assert reason(io.BytesIO(whole[: len(whole) * 2 // 3]))[0] == "truncated"


@pytest.mark.parametrize(
    ("content", "guess"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "an SVG drawing"),
        (b'<?xml version="1.0"?><svg></svg>', "an XML file, perhaps an SVG drawing"),
        (b"just words", "a text file"),
        (b"\xef\xbb\xbf<!DOCTYPE html><title>404</title>", "a web page"),
        (b"%PDF-1.7", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript, which is not run"),
        (b"PK\x03\x04abcdefgh", "a zip archive"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        (b"\x1aE\xdf\xa3\x01\0\0\0", "a WebM or Matroska video"),
        (b"\0" * 100, "only zeros"),
        (b"\x80\x81\x82\x83\xff\x01", ""),
    ],
)
def test_what_is_no_picture_is_named_for_what_it_is(content, guess):
    assert reason(io.BytesIO(content)) == ("not-a-picture", guess)


def test_a_bomb_is_refused_by_its_header():
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    bomb = saved(Image.new("RGB", (8, 8))).getvalue()
    start = bomb.index(b"IHDR") + 4
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bomb = bomb[:start] + header + crc + bomb[start + 17 :]
    assert reason(io.BytesIO(bomb)) == ("too-many-pixels", "30000x30000")
    with pytest.raises(Rejected):
        survey(io.BytesIO(bomb), MEGAPIXELS)


def test_random_damage_never_escapes():
    rng = np.random.default_rng(1)
    reasons = set()
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        whole = saved(RGB, kind).getvalue()
        for _ in range(40):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), 6):
                damaged[place] = rng.integers(256)
            try:
                picture, _ = pixels(io.BytesIO(bytes(damaged)))
                assert picture.shape == (3, SIDE, SIDE)
            except Rejected as rejected:
                reasons.add(rejected.reason)
    assert reasons <= {"corrupt", "truncated", "not-a-picture", "too-many-pixels"}
    assert len(reasons) > 1


# -- the rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_give_their_first_frame(kind):
    frames = [Image.new("RGB", (SIDE, SIDE), c) for c in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"lossless": True} if kind == "WEBP" else {}
    picture, traits = pixels(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert Trait.ANIMATED in traits
    assert hwc(picture)[3, 3].tolist() == [250, 0, 0]


def test_a_wrong_ending_is_noticed_and_does_not_matter():
    for suffix, wrong in ((".png", True), (".jpg", False), (".JPEG", False), (".txt", False), ("", False)):
        _, traits = convert(saved(RGB, "JPEG"), look(), MEGAPIXELS, suffix)
        assert (Trait.MISNAMED in traits) == wrong


def test_survey_tells_grey_from_colour_and_from_transparency():
    assert survey(saved(GREY), MEGAPIXELS) == (SIDE, SIDE, True)
    assert not survey(saved(RGB), MEGAPIXELS).grey
    assert not survey(saved(GREY.convert("LA")), MEGAPIXELS).grey
    assert not survey(saved(GREY, transparency=3), MEGAPIXELS).grey


def test_fingerprints_are_equal_for_equal_pixels_only():
    one = colourful()
    other = one.copy()
    other[31, 31, 2] ^= 1
    assert fingerprint(one) == fingerprint(one.copy()) != fingerprint(other)
