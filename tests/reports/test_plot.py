import io
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import soundfile

from tonearm.audio import Waveform
from tonearm.cli._root import run
from tonearm.errors import UsageError
from tonearm.reports import _draw, _views


@pytest.fixture
def song(tmp_path):
    """Ten seconds of clicks at 120 a minute over a tone of 440 Hz."""
    rate = 22050
    time = np.arange(10 * rate) / rate
    clicks = (time % 0.5 < 0.02) * np.random.default_rng(0).normal(size=len(time)) * 0.3
    path = tmp_path / "song & dance.wav"
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * time) + clicks, rate)
    return path


def marks(drawing, kind):
    return [values for name, values in drawing.marks if name == kind]


def test_every_view_of_a_file_as_svg(song, tmp_path, capsys):
    out = tmp_path / "all.svg"
    assert run(["plot", str(song), "--what", "all", "-o", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    root = ET.fromstring(out.read_text())
    words = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "song & dance.wav" in words
    for view in _views.VIEWS.values():
        assert any(word.startswith(view.words) for word in words), view.words
    tempo = next(int(found[1]) for word in words if (found := re.match(r"Tempo: (\d+) beats per minute", word)))
    assert 115 <= tempo <= 125
    assert {"5 kHz", "10 s", "−80 dB", "G", "beats per minute"} <= set(words)
    assert "http" not in re.sub(r'xmlns="[^"]+"', "", out.read_text())


def test_png_has_the_same_shape(song, tmp_path):
    image = pytest.importorskip("PIL.Image")
    out = tmp_path / "two.png"
    assert run(["plot", str(song), "--what", "waveform,spectrogram", "-o", str(out), "--start", "2"]) == 0
    picture = np.asarray(image.open(io.BytesIO(out.read_bytes())).convert("L"))
    assert picture.shape[1] == 1200
    assert 0.02 < (picture < 128).mean() < 0.7


def test_a_tone_is_drawn_at_its_frequency():
    rate = 22050
    tone = np.sin(2 * np.pi * 2000 * np.arange(3 * rate) / rate).astype(np.float32)
    for what in ("spectrogram", "logspectrogram", "mel"):
        drawing = _views.drawn(Waveform(tone, rate), [what], title="tone")
        picture = marks(drawing, "image")[0]
        brightest = picture["pixels"].astype(int).sum(axis=1).argmax()
        y = picture["y"] + (brightest + 0.5) * picture["height"] / len(picture["pixels"])
        labels = {m["words"]: m["y"] - 3.5 for m in marks(drawing, "text")}
        near = {"spectrogram": "5 kHz", "logspectrogram": "2 kHz", "mel": "2 kHz"}[what]
        if what == "spectrogram":
            zero = labels["0 Hz"]
            assert (zero - y) / (zero - labels[near]) * 5000 == pytest.approx(2000, abs=60)
        else:
            assert y == pytest.approx(labels[near], abs=1.5)


def test_the_waveform_keeps_a_single_peak():
    samples = np.zeros(22050 * 60, np.float32)
    samples[123_456] = 0.9
    samples[7] = -0.5
    area = marks(_views.drawn(Waveform(samples, 22050), ["waveform"], title="peak"), "area")[0]["points"]
    axes = _draw.Axes(_draw.Drawing(""), 0, _views.TOP, 1, 70, (0, 1), (-0.9, 0.9))
    assert area[:, 1].min() == pytest.approx(float(axes.y(0.9)))
    assert area[:, 1].max() == pytest.approx(float(axes.y(-0.5)))


def test_the_crossings_of_a_tone_are_twice_its_frequency():
    rate = 22050
    tone = np.sin(2 * np.pi * 1000 * np.arange(4 * rate) / rate + 0.1).astype(np.float32)
    drawing = _views.drawn(Waveform(tone, rate), ["zcr"], title="tone")
    line = next(m for m in marks(drawing, "line") if m["color"] == "--g5")["points"]
    labels = {m["words"]: m["y"] - 3.5 for m in marks(drawing, "text")}
    share = (labels["0"] - np.median(line[:, 1])) / (labels["0"] - labels["2k"])
    assert share * 2000 == pytest.approx(2000, rel=0.02)


@pytest.mark.parametrize("samples", [np.zeros(22050), np.zeros(3), np.ones(700), np.full(40000, 1e-9)])
def test_silence_and_scraps_have_pictures(samples):
    drawing = _views.drawn(Waveform(samples.astype(np.float32), 22050), list(_views.VIEWS), title="nothing")
    ET.fromstring(drawing.svg(alone=True))
    assert "nan" not in drawing.svg()


def test_an_hour_stays_a_small_picture():
    samples = np.random.default_rng(0).normal(size=8000 * 1200).astype(np.float32)
    drawing = _views.drawn(Waveform(samples, 8000), ["waveform", "mel"], title="long")
    assert len(drawing.svg()) < 400_000
    assert "15:00" in [m["words"] for m in marks(drawing, "text")]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.wav"], 1, "missing.wav"),
        (["{song}", "--what", "melody"], 2, "did you mean 'mel'"),
        (["{song}", "--what", ","], 2, "nothing to draw"),
        (["{song}", "-o", "x.gif"], 2, "the ending says the format"),
        (["{song}", "-o", "{tmp}/no/x.svg"], 1, "no such folder"),
        (["{song}", "-o", "{tmp}/x.svg", "--start", "500"], 1, "song"),
        (["{song}", "-o", "{tmp}/x.svg", "--seconds", "0"], 2, "0 seconds"),
        (["{text}", "-o", "{tmp}/x.svg"], 1, "not audio"),
    ],
)
def test_mistakes_are_told(song, tmp_path, capsys, arguments, code, words):
    (tmp_path / "text.wav").write_text("no sound at all")
    filled = [a.format(song=song, tmp=tmp_path, text=tmp_path / "text.wav") for a in arguments]
    assert run(["plot", *filled]) == code
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "x.svg").exists()


def test_ticks_are_round_and_inside():
    draw = np.random.default_rng(0)
    for _ in range(300):
        low = float(draw.normal() * 10 ** draw.uniform(-3, 4))
        high = low + float(10 ** draw.uniform(-3, 4))
        found = _draw.ticks(low, high, 6)
        assert 1 <= len(found) <= 7
        assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
    assert _draw.ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert _draw.ticks(3, 3, 5) == [3]
    assert _draw.ticks(float("nan"), 3, 5) == []
    assert _draw.ticks(30, 300, 5, log=True) == [50, 100, 200]


def test_ticks_of_time_are_whole_minutes():
    assert _draw.time_ticks(0, 1200, 5) == [0, 300, 600, 900, 1200]
    assert _draw.time_ticks(0, 30, 6) == [0, 5, 10, 15, 20, 25, 30]
    assert _draw.time_ticks(0, 90, 6) == [0, 30, 60, 90]
    assert _draw.time_ticks(100, 4000, 5) == [900, 1800, 2700, 3600]
    assert 2 <= len(_draw.time_ticks(0, 400_000, 5)) <= 6


def test_times_and_numbers_in_words():
    assert [_draw.seconds(x) for x in (0, 5.5, 60, 65, 3665)] == ["0 s", "5.5 s", "1:00", "1:05", "1:01:05"]
    assert [_draw.number(x) for x in (0.25, -3, 2000, 12500)] == ["0.25", "−3", "2k", "12.5k"]


def test_views_that_are_not_are_refused():
    with pytest.raises(UsageError, match="unknown picture"):
        _views.check(["waveform", "mell"])
    assert json.dumps(list(_views.VIEWS))
