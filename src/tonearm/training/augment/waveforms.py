"""Changes of the sound itself, by audiomentations: for nets that listen to samples, and for making more clips."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.training.augment._augmentation import Augmentation, Batch, Drawn, augmentation

FILTERS = ("lowpass", "highpass", "bandpass")
CODECS = {"mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS")}


def _samples(x: torch.Tensor, kind: str) -> np.ndarray:
    """A batch (clips, 1, samples) as numpy (clips, samples)."""
    if x.shape[1] != 1:
        raise UsageError(f"{kind} works on samples, shape (clips, 1, samples), not {tuple(x.shape)}")
    return x[:, 0].cpu().numpy()


def _sized(samples: np.ndarray, length: int) -> np.ndarray:
    """Cut, or filled with silence, to a length."""
    samples = samples[:length]
    return np.pad(samples, (0, length - len(samples))).astype(np.float32)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """audiomentations draws from `random` and from `numpy.random`: both begin at the seed, and go back after."""
    before, numpy_before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sound(Augmentation):
    """What all of them do: a seed per clip is drawn, and the transformation draws the rest from it."""

    sample_rate: int | None = None

    def transform(self) -> Any:
        """The transformation of audiomentations, with p=1."""
        raise NotImplementedError

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        return {"seed": draw.integers(0, 2**32, n)}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        transform, clips = self.transform(), _samples(x, self.kind)
        out = np.stack([self._one(transform, clip, int(seed)) for clip, seed in zip(clips, drawn["seed"], strict=True)])
        return torch.from_numpy(out).to(x.device)[:, None], y

    def _one(self, transform: Any, clip: np.ndarray, seed: int) -> np.ndarray:
        # Standardised samples go far beyond 1, where codecs and limiters clip.
        peak = max(1.0, float(np.abs(clip).max()))
        with _seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a clip got louder than 1 is undone below
            changed = transform(np.ascontiguousarray(clip / peak, np.float32), self.sample_rate)
        return _sized(changed, len(clip)) * np.float32(peak)


def _audiomentations() -> Any:
    try:
        import audiomentations
    except ImportError:
        raise TonearmError(
            "augmentation of waveforms needs audiomentations", hint='pip install "tonearm[train]"', code="needs-extra"
        ) from None
    return audiomentations


def _made(name: str, **keywords: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(_audiomentations(), name)(p=1.0, **keywords)


@augmentation("pitch", on="waveform", bounds={"semitones": (0.01, 24)})
class Pitch(_Sound):
    """Pitch moved by up to `semitones`, tempo kept."""

    semitones: float = 2.0

    def transform(self) -> Any:
        return _made("PitchShift", min_semitones=-self.semitones, max_semitones=self.semitones)


@augmentation("stretch", on="waveform", bounds={"least": (0.1, 1), "most": (1, 10)})
class Stretch(_Sound):
    """Tempo between `least` and `most` times the clip's, pitch kept; cut or filled with silence to its length."""

    least: float = 0.9
    most: float = 1.1

    def transform(self) -> Any:
        return _made("TimeStretch", min_rate=self.least, max_rate=self.most, leave_length_unchanged=True)


@augmentation("noise", on="waveform", bounds={"least_db": (-20, 100), "most_db": (-20, 100)})
class Noise(_Sound):
    """White noise, `least_db` to `most_db` below the clip."""

    least_db: float = 10.0
    most_db: float = 40.0

    def check(self) -> None:
        if self.least_db > self.most_db:
            raise UsageError(f"noise: least_db {self.least_db:g} lies above most_db {self.most_db:g}")

    def transform(self) -> Any:
        return _made("AddGaussianSNR", min_snr_db=self.least_db, max_snr_db=self.most_db)


@augmentation("gain", on="waveform", bounds={"most_db": (0, 60)})
class Gain(_Sound):
    """Louder or softer by up to `most_db`."""

    most_db: float = 12.0

    def transform(self) -> Any:
        return _made("Gain", min_gain_db=-self.most_db, max_gain_db=self.most_db)


@augmentation("filter", on="waveform")
class Filter(_Sound):
    """A lowpass, highpass or bandpass at a random place."""

    which: str = "lowpass"

    def check(self) -> None:
        if self.which not in FILTERS:
            raise unknown_name("filter", self.which, FILTERS)

    def transform(self) -> Any:
        top = 0.45 * self.sample_rate  # a filter must lie below half the rate
        if self.which == "lowpass":
            return _made("LowPassFilter", min_cutoff_freq=min(1000.0, top / 2), max_cutoff_freq=min(7500.0, top))
        if self.which == "highpass":
            return _made("HighPassFilter", min_cutoff_freq=20.0, max_cutoff_freq=min(1000.0, top))
        return _made("BandPassFilter", min_center_freq=200.0, max_center_freq=min(4000.0, top / 2))


@augmentation("codec", on="waveform", bounds={"least": (0, 1), "most": (0, 1)})
class Codec(_Sound):
    """Through a lossy encoder and back, with a compression between `least` and `most` (0 is its best, 1 its smallest).

    By libsndfile, which comes with the audio reader: audiomentations would want one more package for it.
    """

    codec: str = "mp3"
    least: float = 0.5
    most: float = 1.0

    def check(self) -> None:
        if self.codec not in CODECS:
            raise unknown_name("codec", self.codec, CODECS)
        if self.least > self.most:
            raise UsageError(f"codec: least {self.least:g} lies above most {self.most:g}")

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        return {"level": draw.uniform(self.least, self.most, n)}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        clips = _samples(x, self.kind)
        out = [self._through(clip, float(level)) for clip, level in zip(clips, drawn["level"], strict=True)]
        return torch.from_numpy(np.stack(out)).to(x.device)[:, None], y

    def _through(self, clip: np.ndarray, level: float) -> np.ndarray:
        import soundfile

        peak = max(1.0, float(np.abs(clip).max()))
        container, subtype = CODECS[self.codec]
        file = io.BytesIO()
        try:
            soundfile.write(
                file, clip / peak, self.sample_rate, subtype, format=container, compression_level=min(level, 0.99)
            )
            file.seek(0)
            changed, _ = soundfile.read(file, dtype="float32")
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            raise TonearmError(f"{self.codec} at {self.sample_rate} Hz: {error}", code="codec") from None
        return _sized(changed, len(clip)) * np.float32(peak)


@augmentation("crop", on="waveform", bounds={"least": (0.01, 1)})
class Crop(_Sound):
    """A random stretch of at least the share `least` of the clip, repeated to its length."""

    least: float = 0.5

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        share = draw.uniform(self.least, 1, n)
        return {"share": share, "start": draw.random(n) * (1 - share)}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        size = _samples(x, self.kind).shape[-1]
        length = np.maximum(1, np.round(drawn["share"] * size)).astype(int)
        start = np.minimum(np.round(drawn["start"] * size).astype(int), size - length)
        places = start[:, None] + np.arange(size) % length[:, None]
        return x.gather(2, torch.from_numpy(places).to(x.device)[:, None, :].expand(x.shape)), y
