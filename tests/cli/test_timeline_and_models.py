"""`tonearm timeline` and `tonearm models`: strips, pictures, lists and cards."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonearm.cli import _letters, _strip
from tonearm.cli._root import run
from tonearm.runtime import Timeline

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))
from tiny_model import tiny_info, write_tiny

COLOURS = ["#ff0000", "#00ff00", "#0000ff"]


def made(probabilities, sure=None, music=None, seconds=100.0, genres=("Rock", "Reggae", "Jazz")) -> Timeline:
    shares = np.array(probabilities, float)
    n = len(shares)
    on = np.ones(n, bool)
    starts = np.arange(n) * seconds / n
    return Timeline(
        "song.mp3", "tiny", "v", genres, starts, seconds / n, seconds / n, seconds, shares,
        on if sure is None else np.array(sure), on if music is None else np.array(music),
    )  # fmt: skip


LINE = made([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3], [1 / 3, 1 / 3, 1 / 3]],
            sure=[True, True, False, False], music=[True, True, True, False])  # fmt: skip


def test_the_strip_is_letters_where_there_is_no_colour():
    row, marks, times, _, *legend = _strip.strip(LINE, width=40)
    assert row == "R" * 10 + "E" * 10 + "e" * 10 + "." * 10
    assert marks[0] == "|"
    assert times.startswith("0:00")
    assert legend == ["Reggae    E 25 %  e 25 % not sure", "Rock      R 25 %", "no music  . 25 %"]


def test_the_strip_is_colour_where_there_is():
    first, second, *_ = _strip.strip(LINE, width=40, colours=COLOURS)
    assert first == second
    assert first.startswith("\x1b[38;2;255;0;0m" + "█" * 10 + "\x1b[0m")
    assert "\x1b[38;2;0;255;0m" + "▒" * 10 in first
    letters = _strip.strip(LINE, width=40, colours=COLOURS, blocks=False)[0]
    assert letters.isascii()
    assert "\x1b[38;2;255;0;0mRRRRRRRRRR\x1b[0m" in letters


def test_every_genre_has_a_letter_of_its_own():
    assert _strip.letters(["Rock", "Reggae", "RnB", "R"]) == ["R", "E", "N", "A"]
    assert len(set(_strip.letters([f"genre {i}" for i in range(36)]))) == 36


@pytest.mark.parametrize("seconds", [0.5, 3.0, 59.0, 200.0, 3600.0, 36000.0])
def test_moments_are_round_and_few(seconds):
    found = _strip.ticks(seconds, 6)
    assert 1 <= len(found) <= 8
    assert found[0] == 0
    assert found[-1] <= seconds
    assert _strip.clock(3725) == "1:02:05"


def pixels(content: bytes) -> np.ndarray:
    """A PNG with a palette as (rows, columns) of its places, by hand: no imaging library is needed to test."""
    at, data = 8, b""
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        data += body if kind == b"IDAT" else b""
        at += 12 + size
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, width + 1)
    out = np.zeros((height, width), np.uint8)
    for y, line in enumerate(lines):
        if line[0] == 1:
            out[y] = np.cumsum(line[1:], dtype=np.uint8)
        else:
            out[y] = line[1:] + (out[y - 1] if line[0] == 2 and y else 0)
    return out


def test_the_picture_shows_answers_and_shares():
    from tonearm.cli import _picture

    shown = pixels(_picture.picture(LINE, COLOURS))
    strip_row = _picture.MARGIN + _picture.LINE + _picture.LINE // 2 + 5
    quarter = (shown.shape[1] - 2 * _picture.MARGIN) // 4
    middles = [_picture.MARGIN + quarter * i + quarter // 2 for i in range(4)]
    first, pale = _picture.FIRST, _picture.FIRST + 3
    assert shown[strip_row, middles].tolist() == [first, first + 1, pale + 1, _picture.GREY]
    top = strip_row - 5 + _picture.STRIP + _picture.LINE // 2
    column = shown[top : top + _picture.SHARES, middles[0]]
    shares = [float((column == first + genre).mean()) for genre in range(3)]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.01)
    assert column[-1] == first  # the first genre at the bottom


def test_letters_are_all_there_and_differ():
    import string

    all_of_them = string.ascii_letters + string.digits + ".,:;-_%()/&'+?!"
    shapes = {_letters.drawn(letter).tobytes() for letter in all_of_them}
    assert len(shapes) >= len(all_of_them) - 1  # only . and , may look alike to a careless eye, and do not
    assert all(_letters.drawn(letter).any() for letter in all_of_them)
    assert (_letters.drawn("é") == _letters.drawn("e")).all()
    assert (_letters.drawn("音") == _letters.drawn("?")).all()
    assert _letters.drawn("abc", 2).shape == (16, _letters.width_of("abc", 2))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timeline")
    write_tiny(folder / "tiny.onnx")
    sound = np.random.default_rng(0).normal(0, 0.1, 22050 * 20) * (np.arange(22050 * 20) / 22050 * 2 % 1 < 0.4)
    soundfile.write(folder / "song.wav", sound, 22050)
    (folder / "broken.onnx").write_bytes(b"nothing")
    return folder


@pytest.fixture
def tonearm(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("TONEARM_MODELS", str(place))
    monkeypatch.setenv("TONEARM_DATA", str(place / "data"))
    return lambda *arguments: run([*arguments])


def test_timeline_prints_and_draws(tonearm, capsys, place):
    assert tonearm("timeline", "song.wav", "--model", "tiny", "--clip-seconds", "4", "--png", "t.png") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("song.wav  0:20  model tiny\n")
    assert "\x1b" not in shown.out
    assert (place / "t.png").read_bytes().startswith(b"\x89PNG")
    assert tonearm("timeline", "song.wav", "--model", "tiny", "--step-seconds", "2", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["windows"]) == 8


def test_timeline_refuses_what_cannot_be(tonearm, capsys):
    assert tonearm("timeline", "none.wav", "--model", "tiny") == 1
    assert tonearm("timeline", "song.wav", "--model", "tiny", "--png", "t.jpg") == 2
    assert tonearm("timeline", "song.wav", "--model", "tiny", "--png", "no/such/folder/t.png") == 1
    assert tonearm("timeline", "song.wav", "--model", "tiny", "--clip-seconds", "5", "--step-seconds", "9") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_models_are_listed_with_their_figures(tonearm, capsys):
    assert tonearm("models") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "tiny 3 genres" in shown
    assert "90.0 % [75.0, 97.0] of tracks right: made, test part, protocol artist, n = 30, seed 0" in shown
    assert "broken: " in shown
    assert tonearm("models", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) >= {"tiny", "broken"}
    assert {"name", "classes", "bytes", "figures"} <= set(rows["tiny"])
    assert rows["tiny"]["error"] is None
    assert rows["broken"]["error"]["code"] == "not-a-model"


def test_a_card_says_all_of_it(tonearm, capsys, place):
    figures = [{**tiny_info()["figures"][0], "leaky": True, "chosen_on": True, "seeds": [0, 1, 2]}]
    write_tiny(place / "odd.onnx", name="odd", figures=figures, card={"known_failures": {"speech": "called rock"}})
    try:
        assert tonearm("models", "odd") == 0
        shown = capsys.readouterr().out
    finally:
        (place / "odd.onnx").unlink()
    for words in ("LICENCE", "Apache-2.0", "bass     90 %  n = 10", "KNOWN FAILURES", "speech: called rock", "LEAKY",
                  "chosen on this part", "mean of 3 seeds", "22050 Hz", "3 excerpts of 6 s"):  # fmt: skip
        assert words in shown, words
    assert tonearm("models", "./tiny.onnx", "--json") == 0
    assert json.loads(capsys.readouterr().out)["classes"] == ["bass", "middle", "treble"]
    assert tonearm("models", "nix") == 2
    assert tonearm("models", "broken") == 1
