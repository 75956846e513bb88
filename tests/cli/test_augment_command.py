"""`tonearm augment`: what there is, and a preview that is right; what cannot be shown is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from tonearm.cli._root import run as tonearm

RATE = 22050


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE), RATE)
    return path


def _pitch(path) -> float:
    samples, rate = soundfile.read(path)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * rate / len(samples)


def test_the_list_has_every_augmentation_with_its_keywords(capsys):
    assert tonearm(["augment", "list", "--json"]) == 0
    rows = {row["kind"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["pitch"]["on"] == "waveform"
    assert rows["time-mask"]["keywords"] == {"probability": 1.0, "masks": 2, "longest": 0.1}
    assert tonearm(["augment"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in rows)


def test_a_preview_is_a_picture_and_two_sounds(tone, tmp_path, capsys):
    stem = tmp_path / "new" / "up"
    command = ["augment", "preview", str(tone), "--step", "pitch semitones=12", "--seconds", "1.5", "-o", str(stem)]
    assert tonearm([*command, "--seed", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"][0] == {"kind": "pitch", "probability": 1.0, "sample_rate": RATE, "semitones": 12}
    assert _pitch(told["before"]) == pytest.approx(440, abs=2)
    drawn = 12 * np.log2(_pitch(told["after"]) / 440)
    assert 0.5 < abs(drawn) <= 12.1
    first = stem.with_suffix(".png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert tonearm([*command, "--seed", "3"]) == 0
    assert stem.with_suffix(".png").read_bytes() == first, "equal seeds, equal previews"
    assert tonearm(["augment", "preview", str(tone), "--recipe", "cuny-vgg16", "-o", str(tmp_path / "vgg")]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--step", "pitsch"], 2, "did you mean 'pitch'"),
        (["--step", "pitch 3"], 2, "a kind, then key=value"),
        (["--step", "pitch tones=3"], 2, "semitones"),
        (["--step", "mixup"], 2, "--other FILE"),
        (["--step", "gain", "--step", "flip"], 2, "one at a time"),
        ([], 2, "which augmentations?"),
        (["--recipe", "svm-mfcc"], 2, "has no augmentations"),
        (["--step", "gain", "--recipe", "cuny-vgg16"], 2, "one of both"),
        (["--step", "gain", "--start", "99"], 1, "ends before"),
    ],
)
def test_what_cannot_be_shown_is_said(tone, tmp_path, capsys, arguments, code, message):
    assert tonearm(["augment", "preview", str(tone), *arguments, "-o", str(tmp_path / "x")]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
