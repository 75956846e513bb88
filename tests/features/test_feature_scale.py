"""One byte per value, and back."""

from __future__ import annotations

import numpy as np
import pytest

from tonearm import audio, features, packs
from tonearm.errors import UsageError

RANGE = {"kind": "range", "low": -80.0, "high": 0.0}


def test_a_range_comes_back_within_half_a_step():
    values = np.linspace(-80, 0, 1001, dtype=np.float32).reshape(7, 143)
    stored = features.quantise(values, "uint8", RANGE)
    assert stored.dtype == np.uint8
    assert (stored.min(), stored.max()) == (0, 255)
    assert np.abs(features.restore(stored, RANGE) - values).max() <= 80 / 255 / 2 + 1e-5


def test_what_lies_outside_the_range_is_cut_off():
    assert features.quantise(np.array([[-200.0, 30.0]]), np.uint8, RANGE).tolist() == [[0, 255]]


def test_minmax_uses_every_step_and_loses_the_level():
    values = np.array([[-60.0, -20.0], [-40.0, -50.0]], np.float32)
    stored = features.quantise(values, np.uint8, "clip-minmax")
    assert stored.tolist() == [[0, 255], [128, 64]]
    np.testing.assert_allclose(features.restore(stored, "clip-minmax"), stored / 255, rtol=1e-6)


def test_a_constant_clip_is_zero():
    assert not features.quantise(np.full((3, 3), 7.0), "uint8", "clip-minmax").any()


def test_halves_and_floats_keep_their_unit():
    values = np.array([[1.5, 1e9, -1e9]], np.float32)
    stored = features.quantise(values, "float16")
    assert stored.tolist() == [[1.5, 65504.0, -65504.0]], "too large for half precision is not infinite"
    assert features.restore(stored).dtype == np.float32
    np.testing.assert_array_equal(features.quantise(values, "float32"), values)


@pytest.mark.parametrize(
    "scale", [None, "loud", {"kind": "rnge"}, {"kind": "range", "low": 1, "high": 0}, {"kind": "range"}]
)
def test_a_scale_that_says_nothing_is_refused(scale):
    with pytest.raises(UsageError):
        features.quantise(np.zeros((2, 2)), "uint8", scale)


def test_other_types_are_refused():
    with pytest.raises(UsageError, match="int16"):
        features.quantise(np.zeros((2, 2)), "int16", RANGE)


def test_the_sentence_of_older_packs_is_understood_and_right(shared_data):
    opened = packs.open_pack(shared_data / "gtzan-mel")
    row = int(np.flatnonzero(opened.ids == "blues.00000")[0])
    feature = features.from_config(opened.feature_config)
    waveform = audio.load(shared_data / "audio/gtzan/blues/blues.00000.flac")
    stored = features.quantise(feature(waveform), np.uint8, opened.meta["scale"])
    assert np.abs(stored.astype(int) - opened.features[row]).max() <= 2


def test_the_range_of_a_feature_holds_what_it_returns():
    waveform = audio.Waveform(np.random.default_rng(0).uniform(-1, 1, 22050).astype(np.float32), 22050)
    for kind, keywords in (("logmel", {}), ("logmel", {"top_db": 60}), ("stft", {"scale": "db"}), ("zcr", {})):
        feature = features.create(kind, **keywords)
        low, high = feature.value_range
        values = feature(waveform)
        assert low <= values.min()
        assert values.max() <= high
    assert features.create("logmel", ref=1.0).value_range is None
