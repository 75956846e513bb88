"""The horse test: changes do what they say, the statistics are the paired ones, and a horse is found."""

from __future__ import annotations

import json

import judged_data as made
import numpy as np
import pytest
import soundfile
from recipe_data import mel_pack
from statsmodels.stats.contingency_tables import mcnemar
from tiny_model import CLASSES, write_tiny

from tonearm import recipes
from tonearm.audio import Waveform
from tonearm.cli._root import run as tonearm
from tonearm.errors import TonearmError, UsageError
from tonearm.judging._band_changes import bands_of, changes_of
from tonearm.judging.changes import CHANGES, left_channel, stretched
from tonearm.judging.robustness import compared, robustness


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.onnx")


def tones(hertz: dict[float, float], seconds: float = 3.0, rate: int = 22050) -> Waveform:
    time = np.arange(round(seconds * rate)) / rate
    return Waveform(
        sum(level * np.sin(2 * np.pi * f * time) for f, level in hertz.items()).astype(np.float32), rate
    )  # fmt: skip


def levels(wave: Waveform, *hertz: float) -> list[float]:
    """The level of tones, 1 where a sine of that amplitude is in it."""
    samples = wave.samples[len(wave.samples) // 8 : -len(wave.samples) // 8]
    window = np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(samples * window)) * 2 / window.sum()
    at = [round(f * len(samples) / wave.sample_rate) for f in hertz]
    return [float(spectrum[max(0, i - 3) : i + 4].max()) for i in at]


def changed(name: str, wave: Waveform) -> Waveform:
    return CHANGES[name].make(wave, np.random.default_rng(0))


def test_levels_rates_and_beginnings():
    wave = tones({440: 0.2})
    assert levels(changed("softer", wave), 440)[0] == pytest.approx(0.2 * 10 ** (-12 / 20), rel=0.02)
    assert levels(changed("louder", wave), 440)[0] == pytest.approx(0.2 * 10 ** (12 / 20), rel=0.02)
    assert changed("start", wave).seconds == pytest.approx(2.5)
    assert changed("start", tones({440: 0.2}, seconds=1.0)) is None
    for rate in (16000, 48000):
        resampled = changed(f"rate-{rate}", wave)
        assert resampled.sample_rate == rate
        assert levels(resampled, 440)[0] == pytest.approx(0.2, rel=0.02)
    assert changed("rate-22050", wave) is None


def test_filters_take_away_what_they_say_and_leave_the_rest():
    low, high = levels(changed("below-20-hz", tones({10: 0.3, 440: 0.2}, seconds=8)), 10, 440)
    assert (low, high) == (pytest.approx(0, abs=0.003), pytest.approx(0.2, rel=0.02))
    low, high = levels(changed("low-pass-4000", tones({3000: 0.3, 6000: 0.2})), 3000, 6000)
    assert (low, high) == (pytest.approx(0.3, rel=0.02), pytest.approx(0, abs=0.002))
    assert changed("low-pass-8000", Waveform(np.ones(8000, np.float32), 16000)) is None
    change = np.array(levels(changed("tone", tones({100: 0.1, 1000: 0.1, 8000: 0.1})), 100, 1000, 8000)) / 0.1
    assert (np.abs(20 * np.log10(change)) <= 3.1).all()
    assert np.ptp(change) > 0.01


def test_noise_lies_so_far_below():
    wave = tones({440: 0.2})
    for decibels in (30, 20, 10):
        noise = changed(f"noise-{decibels}", wave).samples - wave.samples
        assert 20 * np.log10(wave.samples.std() / noise.std()) == pytest.approx(decibels, abs=0.2)


def test_pitch_and_tempo_are_changed_one_without_the_other():
    wave = tones({440: 0.2, 1234: 0.1})
    step = 2 ** (1 / 12)
    for name, seconds, pitch in (
        ("tempo+5", 3 / 1.05, 1), ("tempo-5", 3 * 1.05, 1), ("pitch+1", 3, step), ("pitch-1", 3, 1 / step),
        ("speed+3", 3 / 1.03, 1.03),
    ):  # fmt: skip
        other = changed(name, wave)
        assert other.seconds == pytest.approx(seconds, rel=0.002)
        assert levels(other, 440 * pitch, 1234 * pitch) == [pytest.approx(0.2, rel=0.1), pytest.approx(0.1, rel=0.15)]
        assert levels(other, 440 * pitch * 1.2)[0] < 0.02
    assert len(stretched(np.zeros(100, np.float32), 1.05)) == 95


def test_encoders_keep_the_sound_and_its_length():
    wave = tones(dict.fromkeys((220, 330, 440, 660, 1320, 2640), 0.05))
    for name in ("mp3-128k", "mp3-64k", "opus", "aac-64k"):
        back = changed(name, wave)
        assert back.seconds == pytest.approx(3.0, abs=0.12)
        assert back.samples.std() == pytest.approx(wave.samples.std(), rel=0.1)
        assert not np.array_equal(back.samples[: len(wave.samples)], wave.samples[: len(back.samples)])
    loud = changed("mp3-64k", Waveform(30 * wave.samples, 22050))
    assert loud.samples.std() == pytest.approx(30 * wave.samples.std(), rel=0.1)  # not clipped


def test_the_left_channel(tmp_path):
    both = np.stack([made.noise(200, 900, 2.0), made.noise(2000, 4000, 2.0)], axis=1)
    soundfile.write(tmp_path / "stereo.flac", both, 22050)
    soundfile.write(tmp_path / "mono.flac", both[:, 0], 22050)
    left = left_channel(str(tmp_path / "stereo.flac"), 0.5, 1.0)
    np.testing.assert_allclose(left.samples, both[11025:33075, 0], atol=1e-4)
    assert left_channel(str(tmp_path / "mono.flac"), 0.0, 1.0) is None
    assert left_channel(str(tmp_path / "no.flac"), 0.0, 1.0) is None


def test_a_row_is_the_paired_test():
    draw = np.random.default_rng(4)
    truth = draw.integers(0, 3, 200)
    before = np.eye(3)[np.where(draw.random(200) < 0.8, truth, (truth + 1) % 3)] * 0.9 + 0.1 / 3
    after = np.eye(3)[np.where(draw.random(200) < 0.6, before.argmax(1), (truth + 2) % 3)] * 0.9 + 0.1 / 3
    rows = np.arange(50, 200)
    row = compared("start", before, rows, after[rows], truth, groups=None, resamples=500, seed=0)
    right, still = before.argmax(1)[rows] == truth[rows], after.argmax(1)[rows] == truth[rows]
    table = [[(right & still).sum(), (right & ~still).sum()], [(~right & still).sum(), (~right & ~still).sum()]]
    assert row["p_value"] == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert row["fall"]["points"] == pytest.approx(100 * (right.mean() - still.mean()))
    assert row["fall"]["interval"][0] < row["fall"]["points"] < row["fall"]["interval"][1]
    assert row["unchanged"] == pytest.approx((before.argmax(1) == after.argmax(1))[rows].mean())
    assert (row["lost"], row["won"]) == (table[0][1], table[1][0])
    assert "fall" not in compared("start", before, rows, after[rows], None, groups=None, resamples=500, seed=0)


def test_a_horse_is_found(tiny, tmp_path, capsys):
    """The tiny model hears where the bands are bright, so nothing but what moves them can move it."""
    folder = made.music(tmp_path / "music", per_genre=3)
    names = ("softer", "start", "mp3-64k", "low-pass-4000", "left-channel")
    call = ["robustness", str(tiny), "--data", f"folder:{folder}", "--json", "--workers", "1", "--quiet"]
    assert tonearm([*call, *(word for name in names for word in ("--change", name))]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["change"]: row for row in found["changes"]}
    assert found["accuracy"] == 1.0
    assert found["seen_in_training"]["known"]  # it says that it learnt from other data
    assert set(rows) == {"softer", "start", "mp3-64k", "low-pass-4000"}
    assert "left-channel" in found["skipped"]
    assert rows["softer"]["unchanged"] == rows["start"]["unchanged"] == 1.0
    assert rows["low-pass-4000"]["fall"]["points"] == pytest.approx(100 / 3)
    assert rows["low-pass-4000"]["lost"] == 3
    assert rows["softer"]["p_holm"] == 1.0


def test_music_without_genres_and_files_that_break(tiny, tmp_path, capsys):
    folder = made.music(tmp_path / "music", per_genre=1, genres=False)
    (folder / "broken.wav").write_bytes(b"RIFF")
    soundfile.write(folder / "short.wav", np.zeros(22050, np.float32), 22050)
    assert tonearm(["robustness", str(tiny), "--data", f"folder:{folder}", "--change", "softer", "--workers", "1"]) == 0
    shown = capsys.readouterr()
    assert "only whether it says the same" in shown.out
    assert "points lost" not in shown.out
    assert shown.err.count("broken.wav") == 1
    assert "too short for changes" in shown.err


def test_spectra_in_a_pack_are_changed_as_far_as_they_can_be(tmp_path):
    pack = mel_pack(tmp_path / "pack", bands=64)
    feature, stored = pack.feature_config, {"dtype": "uint8", "scale": pack.meta["scale"]}
    listen = {"excerpts": 1, "clip_seconds": 30.0}
    model = write_tiny(tmp_path / "m.onnx", tuple(pack.classes), feature=feature, stored=stored, listen=listen)
    found = robustness(model, pack.folder, part="all", resamples=200)
    rows = {row["change"]: row for row in found["changes"]}
    assert found["accuracy"] == 1.0
    assert rows["low-pass-4000"]["fall"]["points"] > 20
    assert {"start", "tempo+5", "pitch+1", "noise-10", "low-pass-4000"} <= set(rows)
    assert found["skipped"]["mp3-64k"]
    assert all(0 <= row["unchanged"] <= 1 and row["n"] == 48 for row in rows.values())
    with pytest.raises(UsageError, match=r"unknown change 'mp3'.*mp3-64k"):
        robustness(model, pack.folder, changes=["mp3"])


def test_what_is_done_to_bands(tmp_path):
    pack = mel_pack(tmp_path / "pack", bands=64)
    bands = bands_of(pack)
    assert bands.hertz.shape == (64, 3)
    assert bands.hertz[0, 0] == 0
    assert bands.hertz[-1, 2] == pytest.approx(11025)
    made_of = changes_of(bands)
    block = np.asarray(pack.features[:5])
    assert all(change(block).shape == block.shape for change in made_of.values())
    assert all(change(block).dtype == block.dtype for change in made_of.values())
    np.testing.assert_array_equal(made_of["start"](block)[:, :, :-1], block[:, :, 1:])  # 60 frames in 30 s
    cut = made_of["low-pass-4000"](block)
    assert (cut[:, bands.centres > 4000] == block.min(axis=(1, 2))[:, None, None]).all()
    np.testing.assert_array_equal(cut[:, bands.centres <= 4000], block[:, bands.centres <= 4000])
    one = np.zeros((1, 64, 4), np.uint8)
    one[:, 40] = 255
    hertz = bands.centres[made_of["pitch+1"](one)[0, :, 0].argmax()]
    assert hertz == pytest.approx(bands.centres[40] * 2 ** (1 / 12), rel=0.04)
    louder = [made_of[f"noise-{snr}"](block).astype(float).mean() for snr in (30, 20, 10)]
    assert louder == sorted(louder)


def test_a_pack_of_anything_else_is_refused(tmp_path):
    from recipe_data import table_pack

    pack = table_pack(tmp_path / "pack")
    run = recipes.run(recipes.get("baseline-lda"), str(pack.folder), tmp_path / "run", made.options())
    with pytest.raises(TonearmError, match="nothing can be changed in a pack of table"):
        robustness(run, pack.folder)


def test_the_tiny_model_is_what_the_tests_think(tiny):
    assert tuple(made.HERTZ) == CLASSES
