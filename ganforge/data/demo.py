"""The built-in picture set: cartoon faces drawn here, so that the main job runs with nothing downloaded.

A face is a function of (seed, index) alone, whatever the size it is drawn at; its label is its hair colour.
"""

from typing import Final

from PIL import Image

from ganforge.data.faces.portrait import draw_face
from ganforge.data.faces.traits import HAIR, choose
from ganforge.errors import DataError

HAIR_COLOURS: Final[tuple[str, ...]] = tuple(HAIR)
"""The class names; a label is an index into them."""


def render_face(seed: int, index: int, size: int) -> tuple[Image.Image, int]:
    """Draw one face of the built-in set.

    Args:
        seed: which set of faces; at least 0.
        index: which face of the set; at least 0. Six in a row from a multiple of six hold each hair colour once.
        size: pixels a side; at least 1.

    Returns:
        An RGB picture of `size` x `size` pixels, and the label: an index into `HAIR_COLOURS`.

    Raises:
        DataError: a negative seed or index, or a size below 1.
    """
    if seed < 0 or index < 0 or size < 1:
        raise DataError(f"demo face: seed {seed}, index {index}, size {size}: seed and index start at 0, size at 1")
    face = choose(seed, index)
    return draw_face(face, size), face.label
