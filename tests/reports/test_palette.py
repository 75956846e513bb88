import numpy as np
import pytest

from tonearm.reports import _palette as palette

THEMES = {"light": palette.LIGHT, "dark": palette.DARK, "paper": palette.PAPER}


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read(theme):
    colors = THEMES[theme]
    for text in palette.TEXT:
        for ground in ("paper", "box"):
            assert palette.contrast(colors[text], colors[ground]) >= 4.5, (text, ground)


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_on_cells_of_any_strength(theme):
    colors = THEMES[theme]
    for ground in ("right", "wrong", "heat"):
        for share in np.linspace(0, 1, 21):
            cell = palette.mixed(colors[ground], colors["box"], float(share))
            assert palette.contrast(colors["ink"], cell) >= 4.5, (ground, share)


@pytest.mark.parametrize("theme", THEMES)
def test_marks_stand_out_and_genres_differ(theme):
    colors = THEMES[theme]
    genres = [colors[palette.genre_color(i).removeprefix("--")] for i in range(palette.GENRES)]
    for color in [*genres, *(colors[f"c{i}"] for i in range(1, 6))]:
        assert palette.contrast(color, colors["paper"]) >= 3
    assert len(set(genres)) == palette.GENRES
    assert palette.genre_color(12) == palette.genre_color(0)


def test_contrast_is_that_of_the_standard():
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert palette.mixed("#000000", "#ffffff", 0.25) == "#bfbfbf"


def test_the_ramp_gets_lighter_step_by_step():
    ramp = palette.ramp()
    assert ramp.shape == (256, 3)
    assert ramp.dtype == np.uint8
    light = ramp @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > -0.8).all()  # rounding to bytes
    assert (light[8:] > light[:-8]).all()


def test_every_colour_that_is_used_is_in_the_table():
    import re
    from pathlib import Path

    folder = Path(palette.__file__).parent
    used = set()
    for path in folder.glob("*.py"):
        used |= set(re.findall(r"(?:var\(|\")--([a-z]+\d*)[\)\"]", path.read_text(encoding="utf-8")))
    assert used - set(palette.LIGHT) == set()
