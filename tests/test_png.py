import io

import numpy as np
import pytest

from tonearm import png
from tonearm.errors import TonearmError


def decoded(png):
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(png)).convert("RGBA" if png[25] == 6 else "RGB"))


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3), (3, 64, 4), (40, 40, 3)])
def test_pixels_come_back(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(decoded(png.encode(pixels)), pixels)


def test_grey_and_palette():
    grey = np.random.default_rng(1).integers(0, 256, (9, 4), dtype=np.uint8)
    assert np.array_equal(decoded(png.encode(grey)), np.repeat(grey[:, :, None], 3, axis=2))
    palette = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
    assert np.array_equal(decoded(png.encode(grey, palette=palette)), palette[grey])


def test_smooth_pictures_are_packed_small():
    rows, columns = np.mgrid[:128, :387]
    smooth = ((rows + columns) // 3 % 256).astype(np.uint8)
    assert len(png.encode(smooth)) < 5000


def test_a_view_that_is_not_contiguous():
    pixels = np.random.default_rng(3).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    assert np.array_equal(decoded(png.encode(pixels[::-1, ::2])), pixels[::-1, ::2])


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8), np.zeros((2, 2, 2), np.uint8), np.zeros(3, np.uint8)],
)
def test_what_is_no_picture_is_refused(pixels):
    with pytest.raises(TonearmError):
        png.encode(pixels)


def test_indices_outside_the_palette_are_refused():
    with pytest.raises(TonearmError, match="not in a palette"):
        png.encode(np.full((2, 2), 4, np.uint8), palette=np.zeros((4, 3), np.uint8))


def test_data_uri():
    assert png.data_uri(b"\x00\xff") == "data:image/png;base64,AP8="
