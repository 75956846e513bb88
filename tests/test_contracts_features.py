"""What holds for every feature of the registry, whoever wrote it. No feature is named here."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from tonearm import audio, features
from tonearm.errors import UsageError

KINDS = features.registry.names()
RATES = (16000, 22050, 44100)


def sounds(rate: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rate)
    made = {
        "1 s of noise": rng.uniform(-1, 1, rate),
        "5 s of noise": rng.uniform(-1, 1, 5 * rate),
        "silence": np.zeros(rate),
        "shorter than a window": rng.uniform(-1, 1, 500),
    }
    return {name: sound.astype(np.float32) for name, sound in made.items()}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", KINDS)
def test_any_sound_gives_the_array_that_was_told_before(kind, rate):
    feature = features.create(kind, sample_rate=rate)
    for name, samples in sounds(rate).items():
        before = samples.copy()
        values = feature(audio.Waveform(samples, rate))
        assert isinstance(values, np.ndarray), name
        assert values.dtype == np.float32, name
        assert values.shape == feature.shape(len(samples), rate), name
        assert len(values.shape) == len(feature.axes), name
        assert np.isfinite(values).all(), name
        assert np.array_equal(samples, before), f"{name}: the samples were changed"
        columns = feature.columns()
        if columns is not None:
            assert len(columns) == len(set(columns)) == values.shape[0], name
            assert all(isinstance(column, str) for column in columns)
        assert np.array_equal(feature(audio.Waveform(samples, rate)), values), f"{name}: not the same twice"


@pytest.mark.parametrize("kind", KINDS)
def test_another_rate_is_resampled_to_the_shape_that_was_told(kind):
    feature = features.create(kind)
    for n_samples in (30001, 44101):
        samples = np.random.default_rng(0).uniform(-1, 1, n_samples).astype(np.float32)
        values = feature(audio.Waveform(samples, 44100))
        assert values.shape == feature.shape(n_samples, 44100)


@pytest.mark.parametrize("kind", KINDS)
def test_the_native_rate_is_the_waveforms_own(kind):
    samples = sounds(16000)["1 s of noise"]
    native = features.create(kind, sample_rate=None)
    named = features.create(kind, sample_rate=16000)
    assert np.array_equal(native(audio.Waveform(samples, 16000)), named(audio.Waveform(samples, 16000)))
    assert native.shape(len(samples), 16000) == named.shape(len(samples), 16000)


@pytest.mark.parametrize("kind", KINDS)
def test_clip_seconds_tell_the_shape(kind):
    feature = features.create(kind, clip_seconds=2.0)
    assert feature.shape() == feature.shape(2 * feature.sample_rate, feature.sample_rate)
    with pytest.raises(UsageError):
        features.create(kind, clip_seconds=-1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_config_comes_back_as_the_same_feature(kind):
    feature = features.create(kind, sample_rate=16000)
    config = json.loads(json.dumps(feature.config()))
    again = features.from_config(config)
    assert config["kind"] == kind
    assert set(config) == {"kind", *(field.name for field in dataclasses.fields(feature))}
    assert again == feature
    assert hash(again) == hash(feature)
    assert again.config() == feature.config()


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_keyword_is_refused_and_the_valid_ones_named(kind):
    with pytest.raises(UsageError) as refused:
        features.create(kind, sample_rat=16000)
    assert "sample_rat" in refused.value.message
    assert "did you mean 'sample_rate'" in refused.value.hint
    for field in dataclasses.fields(features.registry.get(kind)):
        assert field.name in refused.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_every_keyword_says_what_it_means(kind):
    cls = features.registry.get(kind)
    assert cls.kind == kind
    assert cls.__doc__
    for field in dataclasses.fields(cls):
        assert field.metadata.get("meaning"), f"{field.name} has no meaning"
        with pytest.raises(UsageError, match=field.name):
            features.create(kind, **{field.name: object()})


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_holds_every_value(kind):
    feature = features.create(kind)
    if feature.value_range is None:
        pytest.skip("it has none")
    low, high = feature.value_range
    for samples in sounds(feature.sample_rate).values():
        values = feature(audio.Waveform(samples, feature.sample_rate))
        assert low <= values.min()
        assert values.max() <= high


@pytest.mark.parametrize("kind", KINDS)
def test_the_torch_way_equals_the_numpy_way(kind):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    for rate in RATES:
        feature = features.create(kind, sample_rate=rate)
        if not feature.has_batch:
            with pytest.raises(UsageError, match="torch"):
                feature.batch(torch.zeros(1, rate), rate)
            return
        for name, samples in sounds(rate).items():
            # The same sound at three levels: what is relative to a clip must be relative to that clip alone.
            clips = np.stack([samples, samples * np.float32(0.25), samples[::-1]])
            batch = torch.from_numpy(clips)
            values = feature.batch(batch, rate)
            assert values.dtype == torch.float32
            assert torch.equal(batch, torch.from_numpy(clips)), f"{name}: the batch was changed"
            for clip, got in zip(clips, values.numpy(), strict=True):
                expected = feature(audio.Waveform(clip, rate))
                assert got.shape == expected.shape
                scale = max(1.0, float(np.abs(expected).max()))
                np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * scale, err_msg=name)


STRANGER = '''
"""A feature that tonearm has never heard of, in one file."""

from tonearm.features import Feature, feature


@feature("stranger")
class Stranger(Feature):
    """The mean of each second, shape (1, seconds)."""

    @property
    def rows(self):
        return 1

    def frame_count(self, n_samples):
        return n_samples // self.sample_rate

    def compute(self, spectra):
        seconds = self.frame_count(spectra.n_samples)
        samples = spectra.samples[..., : seconds * self.sample_rate]
        return samples.reshape(*samples.shape[:-1], 1, seconds, self.sample_rate).mean(-1)
'''

FIND = """
import sys
import numpy as np
from tonearm import audio, cli, features
features.__path__.append(sys.argv[1])  # as if the file lay in the folder
feature = features.create("stranger", sample_rate=1000)
values = feature(audio.Waveform(np.repeat(np.float32([1, 2, 3]), 1000), 1000))
assert values.tolist() == [[1, 2, 3]], values
assert feature.shape(3000, 1000) == (1, 3)
assert features.from_config(feature.config()) == feature
cli.main(["features", "list", "stranger"])
"""


def test_a_strangers_feature_is_one_file(tmp_path):
    (tmp_path / "stranger.py").write_text(STRANGER, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", FIND, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "The mean of each second" in done.stdout
