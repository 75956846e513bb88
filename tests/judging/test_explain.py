"""Where something was planted, it is named; and the check says whether that is to be believed."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import judged_data as made
import numpy as np
import pytest
import soundfile
from recipe_data import mel_pack
from tiny_model import write_tiny

from tonearm import recipes
from tonearm.audio import Waveform
from tonearm.cli._root import run as tonearm
from tonearm.errors import TonearmError, UsageError
from tonearm.judging._muffle import Muffled, grid_over
from tonearm.judging.explain import Check, explain, summary, top
from tonearm.judging.predictor import open_predictor

RATE = made.RATE


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """In decibels and not scaled per clip, so that what is turned down moves its own band and no other."""
    stored = {"dtype": "float32", "scale": None}
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.onnx", stored=stored)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Six seconds: silence, but high noise from 2 to 4 s."""
    path = tmp_path_factory.mktemp("sound") / "planted.wav"
    samples = np.zeros(6 * RATE, np.float32)
    samples[2 * RATE : 4 * RATE] = made.noise(4500, 9500)[: 2 * RATE]
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


def test_turning_down_cells_is_exact_and_stays_in_its_place():
    wave = Waveform(made.noise(100, 10000, 4.0), RATE)
    sound, grid = Muffled(wave), grid_over(wave, 1.0, 8)
    assert grid.shape == (8, 4)
    nothing = sound.without(grid, np.zeros(grid.shape, bool))
    np.testing.assert_allclose(nothing.samples, wave.samples, atol=1e-7)
    everything = sound.without(grid, np.ones(grid.shape, bool))
    np.testing.assert_allclose(everything.samples, wave.samples * 10 ** (-30 / 20), atol=1e-6)
    one = np.zeros(grid.shape, bool)
    one[5, 2] = True
    moved = sound.without(grid, one).samples - wave.samples
    assert np.abs(moved[: round(1.8 * RATE)]).max() < 1e-6
    assert np.abs(moved[round(3.2 * RATE) :]).max() < 1e-6
    spectrum = np.abs(np.fft.rfft(moved[2 * RATE : 3 * RATE])) ** 2
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    inside = (hertz >= grid.hertz[5] - 30) & (hertz <= grid.hertz[6] + 30)
    assert spectrum[inside].sum() > 0.99 * spectrum.sum()
    parts = [sound.without(grid, np.eye(32, dtype=bool)[i].reshape(8, 4)).samples - wave.samples for i in range(32)]
    np.testing.assert_allclose(sum(parts), everything.samples - wave.samples, atol=1e-5)  # cells are the whole


def test_what_was_planted_is_named(tiny, planted):
    found = explain(tiny, planted, step_seconds=1.0)
    assert found.genre == "treble"
    assert found.start_seconds == 0
    best = int(found.stretches.argmax())
    assert 2 <= found.seconds[best] <= found.seconds[best + 1] <= 4
    assert found.hertz[int(found.bands.argmax())] > 3500
    weights = np.where(found.named, found.cells, 0)
    inside = np.zeros(found.grid.shape, bool)
    inside[found.grid.hertz[:-1] > 3500, 2:4] = True
    assert weights[inside].sum() > 0.8 * weights.sum()
    assert found.check.holds
    assert found.check.beaten == 1.0
    first, last = found.telling
    assert first <= 2.5
    assert last >= 3.5
    assert "model file has no gradients" in found.gradients["reason"]
    told = found.to_json()
    json.dumps(told, allow_nan=False)
    assert np.array(told["cells"]["weight"]).shape == found.grid.shape
    # What it says of a genre as it is: the very answer of the model.
    from tonearm import audio, runtime

    said = runtime.load(tiny).predict(audio.load(planted))
    assert found.probability == pytest.approx(float(said.probabilities[2]), abs=1e-6)


def test_an_explanation_made_up_is_found_out(tiny, planted):
    """The check is of the model, not of the words: cells named at random do no better than chance."""
    from tonearm import audio
    from tonearm.judging.explain import _Asked, _at_random, _log_odds

    wave = audio.load(planted)
    predictor = open_predictor(tiny)
    before = _log_odds(predictor.on_waveforms([wave])[0, 2])
    asked, grid = _Asked(predictor, Muffled(wave), 2, before), grid_over(wave, 1.0, 8)
    draw = np.random.default_rng(0)
    named = [_at_random(draw, top(np.zeros(grid.shape))) for _ in range(12)]
    random = asked.lost(grid, [_at_random(draw, named[0]) for _ in range(20)])
    beaten = [asked.check(grid, some, random).beaten for some in named]
    assert 0.2 < np.mean(beaten) < 0.8


def test_a_stretch_of_a_song_is_chosen_or_named(tiny, tmp_path):
    path = tmp_path / "song.wav"
    samples = made.noise(150, 900, 40.0)
    samples[25 * RATE : 35 * RATE] += 2 * made.noise(4500, 9500, 10.0)
    soundfile.write(path, 0.3 * samples, RATE)
    most = explain(tiny, path, genre="treble", bands=2, draws=2)
    assert 20 <= most.start_seconds <= 34  # of its three excerpts, the one with the high noise
    assert most.waveform.seconds == pytest.approx(6.0)
    other = explain(tiny, path, genre="treble", start_seconds=3.0, bands=2, draws=2)
    assert other.start_seconds == 3.0
    assert other.probability < most.probability
    assert other.whole == pytest.approx(most.whole)


def test_gradients_and_occlusion_of_a_net_agree(tmp_path):
    pack = mel_pack(tmp_path / "pack", bands=24, frames=60)
    feature = {"feature.n_mels": 24, "feature.frames": 60, "training.epochs": 4}
    run = recipes.run(made.small_net(**feature), str(pack.folder), tmp_path / "run", made.options(adapt=True))
    path = tmp_path / "thirty.wav"
    soundfile.write(path, made.noise(150, 900, 30.0), RATE)
    found = explain(run, path, step_seconds=10.0, bands=4, draws=3)
    gradients = found.gradients
    assert gradients["available"]
    assert gradients["cells"].shape == found.grid.shape
    assert np.isfinite(gradients["cells"]).all()
    assert -1 <= gradients["agreement"] <= 1
    # Integrated gradients add up to what turning everything down costs, in log-probability.
    from tonearm.judging._gradients import _turned_down, attributions

    predictor = open_predictor(run)
    target = predictor.classes.index(found.genre)
    attributed, _ = attributions(predictor, found.waveform, target)
    stored = predictor.stored(found.waveform)
    down = np.rint(_turned_down(stored, predictor)).astype(stored.dtype)
    logs = [np.log(predictor.on_stored([values]).probabilities[:, target]).mean() for values in (stored, down)]
    assert attributed.values.sum() == pytest.approx(logs[0] - logs[1], abs=0.05 + 0.1 * abs(logs[0] - logs[1]))


def test_picture_sounds_and_numbers_are_left(tiny, planted, tmp_path, capsys):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    out = tmp_path / "out"
    call = ["explain", str(planted), str(broken), "--model", str(tiny), "--draws", "3", "--bands", "4", "--json"]
    assert tonearm([*call, "-o", str(out), "--quiet"]) == 1
    shown = capsys.readouterr()
    told, failed = (json.loads(line) for line in shown.out.splitlines())
    assert failed["error"]["code"] == "not-audio"
    assert told["genre"] in made.HERTZ
    folder = out / "planted"
    assert {path.name for path in folder.iterdir()} == {
        "explanation.svg", "explanation.json", "cells.csv", "excerpt.wav", "named.wav"
    }  # fmt: skip
    words = "".join(ET.parse(folder / "explanation.svg").getroot().itertext())
    assert "kHz" in words
    assert "2 s" in words
    excerpt, rate = soundfile.read(folder / "excerpt.wav")
    assert 4 <= len(excerpt) / rate <= 6.1
    assert len((folder / "cells.csv").read_text().splitlines()) == 1 + np.array(told["cells"]["weight"]).size


def test_what_cannot_be_explained(tiny, planted, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(5 * RATE), RATE)
    soundfile.write(tmp_path / "short.wav", made.noise(150, 900, 1.0), RATE)
    with pytest.raises(TonearmError, match="nothing to hear"):
        explain(tiny, tmp_path / "silent.wav")
    with pytest.raises(TonearmError, match="too little to explain"):
        explain(tiny, tmp_path / "short.wav")
    with pytest.raises(UsageError, match="unknown genre 'polka'"):
        explain(tiny, planted, genre="polka")
    with pytest.raises(TonearmError, match="ends before"):
        explain(tiny, planted, start_seconds=100.0)
    with pytest.raises(TonearmError, match="no such file"):
        explain(tiny, tmp_path / "nowhere.wav")


def test_over_several_files(tiny, planted):
    found = [explain(tiny, planted, genre=genre, bands=4, draws=4) for genre in ("bass", "treble")]
    told = summary(found)
    assert told["n"] == 2
    assert told["occlusion"]["holds"] == sum(one.check.holds for one in found)
    assert told["gradients"] is None
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(("named", "verdict"), [(3.0, "it holds"), (0.52, "WEAK"), (0.3, "IT DOES NOT HOLD")])
def test_the_verdict_asks_for_more_than_the_mean_of_the_draws(named, verdict):
    from tonearm.cli.explain import _verdict

    check = Check(named=named, random=np.linspace(0, 1, 20), loudest=0.0, alone=0.5)
    assert _verdict(check).startswith(verdict)
