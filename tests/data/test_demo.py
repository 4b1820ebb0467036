"""The built-in cartoon faces: what prepare, train and demo count on."""

import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from PIL import Image, ImageChops

from ganforge.data.demo import HAIR_COLOURS, render_face
from ganforge.data.faces import portrait
from ganforge.data.faces.portrait import draw_face
from ganforge.data.faces.traits import HAIR, STYLES, Face, choose
from ganforge.errors import DataError

FACES = range(60)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.int16)


def test_a_face_is_a_function_of_seed_and_index() -> None:
    for index in (0, 7, 123_456_789):
        (first, label), (again, label_again) = render_face(3, index, 48), render_face(3, index, 48)
        assert first.tobytes() == again.tobytes()
        assert label == label_again


def test_seeds_and_indices_give_different_faces() -> None:
    faces = {render_face(seed, index, 32)[0].tobytes() for seed in range(6) for index in range(20)}
    assert len(faces) == 120


@pytest.mark.parametrize("size", [1, 4, 28, 32, 48, 64, 100, 256, 300])
def test_any_size(size: int) -> None:
    image, label = render_face(0, 5, size)
    assert image.size == (size, size)
    assert image.mode == "RGB"
    assert 0 <= label < len(HAIR_COLOURS)


def test_the_face_is_the_same_whatever_the_size() -> None:
    for index in range(12):
        small, label = render_face(0, index, 64)
        large, large_label = render_face(0, index, 256)
        assert label == large_label
        assert np.abs(pixels(large.resize((64, 64), Image.Resampling.LANCZOS)) - pixels(small)).mean() < 4


def test_every_six_faces_hold_each_hair_colour_once() -> None:
    assert len(HAIR_COLOURS) == len(set(HAIR_COLOURS)) == 6
    orders = set()
    for start in range(0, 120, 6):
        labels = tuple(choose(1, start + place).label for place in range(6))
        assert sorted(labels) == [0, 1, 2, 3, 4, 5]
        orders.add(labels)
    assert len(orders) > 10, "the colours come in an order that can be guessed"


def test_the_hair_has_the_colour_that_the_label_says() -> None:
    palette = np.array(list(HAIR.values()))
    for index in FACES:
        face = choose(0, index)
        other = replace(face, label=(face.label + 3) % 6)
        picture, recoloured = draw_face(face, 64), draw_face(other, 64)
        changed = pixels(ImageChops.difference(picture, recoloured)).max(axis=2) > 24
        assert changed.mean() > 0.01, f"face {index}: no hair to see"
        hair = pixels(picture)[changed]
        nearest = np.linalg.norm(hair[:, None] - palette[None], axis=2).argmin(axis=1)
        votes = Counter(nearest.tolist())
        # Dark outlines are nearest to black whatever the hair; they are not what the eye calls its colour.
        if face.label != 0:
            votes.pop(0, None)
        assert votes.most_common(1)[0][0] == face.label, f"face {index}: {face.style}, {HAIR_COLOURS[face.label]}"


def test_the_classes_are_told_apart_by_their_mean_colour() -> None:
    """Each face's crown is nearest to its own class's mean in most faces: there is something to learn."""
    crowns: dict[int, list[np.ndarray]] = {label: [] for label in range(6)}
    for index in range(180):
        image, label = render_face(2, index, 32)
        crowns[label].append(pixels(image)[5:9, 12:20].reshape(-1, 3).mean(axis=0))
    means = np.array([np.median(crowns[label], axis=0) for label in range(6)])
    right = [np.linalg.norm(means - crown, axis=1).argmin() == label for label in range(6) for crown in crowns[label]]
    assert np.mean(right) > 0.8


def test_eyes_are_where_eyes_are() -> None:
    """In the mean of many faces both eyes are darker than the cheeks below them: the faces are aligned."""
    mean = np.stack([pixels(render_face(0, index, 64)[0]).mean(axis=2) for index in range(90)]).mean(axis=0)
    for eye in (slice(22, 28), slice(36, 42)):
        assert mean[34:40, eye].mean() < mean[44:46, eye].mean() - 15


def test_every_trait_varies() -> None:
    faces = [choose(0, index) for index in range(400)]
    for trait in fields(Face):
        assert len({getattr(face, trait.name) for face in faces}) > 1, trait.name
    assert {face.style for face in faces} == set(STYLES)
    assert all(face.fringe in STYLES[face.style] for face in faces)


def test_every_value_of_every_trait_is_drawn() -> None:
    faces = [choose(0, index) for index in range(400)]
    tables = {
        "head": portrait._HEADS,
        "backdrop": portrait._BACKDROPS,
        "clothes": portrait._COLLARS,
        "nose": portrait._NOSES,
        "mouth": portrait._MOUTHS,
        "brows": portrait._BROWS,
        "beard": {"none", *portrait._BEARDS},
        "accessory": {"none", *portrait._ACCESSORIES},
        "glasses": {"none", "round", *portrait._FRAMES},
        "eyes": {"dot", "happy", *portrait._EYES},
    }
    for trait, table in tables.items():
        assert {getattr(face, trait) for face in faces} == set(table), trait
    for face in faces:
        draw_face(face, 4)


@pytest.mark.parametrize(("seed", "index", "size"), [(-1, 0, 8), (0, -1, 8), (0, 0, 0)])
def test_nonsense_is_refused_in_one_line(seed: int, index: int, size: int) -> None:
    with pytest.raises(DataError) as refused:
        render_face(seed, index, size)
    assert "\n" not in str(refused.value)


def test_drawing_needs_no_torch() -> None:
    code = "import sys, ganforge.data.demo; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
