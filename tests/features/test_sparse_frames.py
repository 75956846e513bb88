"""Frames spread over a clip: the rule, that they are the same frames, and that they are the columns of real packs."""

from __future__ import annotations

import numpy as np
import pytest

from tonearm import audio, features, packs
from tonearm.errors import UsageError

RATE = 22050


def noise(seconds: float, seed: int = 0) -> audio.Waveform:
    rng = np.random.default_rng(seed)
    return audio.Waveform(rng.uniform(-1, 1, round(seconds * RATE)).astype(np.float32), RATE)


def test_the_rule_by_hand():
    grid = features.create("logmel", frames=4, frame_divisor=4.5).grid
    # 10 frames: floor(0.5 / 4.5 * 10) = 1, floor(1.5 / 4.5 * 10) = 3, 5, 7
    assert grid.indices(9 * 512).tolist() == [1, 3, 5, 7]
    # A clip with fewer frames than are asked for has some of them twice.
    assert grid.indices(512).tolist() == [0, 0, 1, 1]
    assert features.create("logmel", frames=4).grid.indices(9 * 512).tolist() == [1, 3, 6, 8]


@pytest.mark.parametrize("kind", ["logmel", "mel", "mfcc", "stft", "rms", "zcr", "centroid", "rolloff", "contrast"])
@pytest.mark.parametrize("center", [True, False])
def test_sparse_columns_are_columns_of_the_whole(kind, center):
    # Decibels are relative to the loudest frame that is looked at, so a fixed reference and no floor to compare.
    fixed = {"ref": 1.0, "top_db": None} if kind == "logmel" else {"top_db": None} if kind == "mfcc" else {}
    if kind == "contrast":
        fixed = {"linear": True}
    waveform = noise(3.3)
    sparse = features.create(kind, frames=23, frame_divisor=23.5, center=center, **fixed)
    whole = features.create(kind, center=center, **fixed)(waveform)
    indices = sparse.grid.indices(len(waveform.samples))
    np.testing.assert_allclose(sparse(waveform), whole[:, indices], rtol=1e-5, atol=1e-5)


def test_the_torch_way_takes_the_same_frames():
    torch = pytest.importorskip("torch")
    waveform = noise(2.0)
    for kind in ("logmel", "rms", "zcr", "flatness"):
        feature = features.create(kind, frames=10, frame_divisor=10.5)
        batch = feature.batch(torch.from_numpy(waveform.samples)[None], RATE)[0].numpy()
        np.testing.assert_allclose(batch, feature(waveform), rtol=1e-4, atol=1e-4)


def test_only_those_windows_are_transformed(monkeypatch):
    transformed = []
    rfft = np.fft.rfft
    monkeypatch.setattr(np.fft, "rfft", lambda x, **keywords: transformed.append(len(x)) or rfft(x, **keywords))
    features.create("logmel", frames=7)(noise(30.0))
    assert sum(transformed) == 7


def test_the_beginning_of_a_clip_stands_for_the_clip():
    whole = noise(4.0)
    beginning = audio.Waveform(whole.samples[: 2 * RATE], RATE)
    feature = features.create("logmel", frames=40, frame_divisor=40.5, ref=1.0, top_db=None)
    expected = feature(whole)
    got = feature(beginning, total_samples=len(whole.samples))
    covered = feature.grid.covered(len(beginning.samples), len(whole.samples))
    assert 15 < covered.sum() < 21
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got[:, covered], expected[:, covered])
    np.testing.assert_allclose(got[:, -5:], -100.0, atol=1e-3)  # what is not there is silence


def test_frame_rules_of_packs_are_read():
    config = {"kind": "logmel", "sample_rate": "native (44100 for nearly all)", "frames": 387}
    rule = "column i is STFT frame floor((i + 0.5) / 387.5 * T) of the T frames of the clip"
    feature = features.from_config({**config, "frame_rule": rule})
    assert feature.frame_divisor == 387.5
    assert feature.sample_rate is None
    assert features.from_config(feature.config()) == feature
    with pytest.raises(UsageError, match="frame_rule is not understood"):
        features.from_config({**config, "frame_rule": "every third"})


def test_rules_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="without frames"):
        features.create("logmel", frame_divisor=3.0)
    with pytest.raises(UsageError, match="behind the end"):
        features.create("logmel", frames=10, frame_divisor=5.0)


@pytest.mark.parametrize(("pack", "pattern"), [("gtzan-mel", "gtzan/*/*.flac"), ("fma-small-mel", "fma/*.mp3")])
def test_columns_equal_those_of_real_packs(pack, pattern, shared_data):
    opened = packs.open_pack(shared_data / pack)
    rows = {name: row for row, name in enumerate(opened.ids)}
    feature = features.from_config(opened.feature_config)
    correlations = []
    for path in sorted((shared_data / "audio").glob(pattern)):
        row = rows[path.stem]
        waveform = audio.load(path)
        # GTZAN's clips are cut there; the pack says how long they are.
        total = int(opened.column("samples")[row] or len(waveform.samples))
        got = feature(waveform, total_samples=total)
        columns = np.ones(got.shape[1], bool)
        if total > len(waveform.samples):
            columns = feature.grid.covered(len(waveform.samples), total)
        assert columns.sum() > 100
        expected = np.asarray(opened.features[row], np.float64)
        correlations.append(np.corrcoef(got[:, columns].ravel(), expected[:, columns].ravel())[0, 1])
    assert len(correlations) >= 5
    assert min(correlations) >= 0.985
    assert np.median(correlations) >= 0.999


def test_what_is_stored_of_whole_real_clips_is_off_by_few_steps(shared_data):
    opened = packs.open_pack(shared_data / "gtzan-mel")
    rows = {name: row for row, name in enumerate(opened.ids)}
    feature = features.from_config(opened.feature_config)
    paths = sorted((shared_data / "audio/gtzan").glob("*/*.00000.flac"))
    assert len(paths) == 10
    for path in paths:
        stored = features.quantise(feature(audio.load(path)), np.uint8, opened.meta["scale"])
        # Theirs begins at the peak of all frames, ours at that of the 387: a shift of up to 3 % of the range.
        assert np.abs(stored.astype(int) - opened.features[rows[path.stem]]).max() <= 9, path.stem
