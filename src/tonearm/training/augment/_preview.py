"""What an augmentation does, to look at and to listen to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tonearm import features, png
from tonearm.audio import Waveform
from tonearm.errors import TonearmError, UsageError
from tonearm.features._mel import filters
from tonearm.training.augment._augmentation import Chain

N_FFT, HOP = 2048, 512


@dataclass(frozen=True)
class Preview:
    """A clip before and after: as sound, as log-mel (bands, frames) in dB, and both as a PNG side by side."""

    before: Waveform
    after: Waveform
    seen_before: np.ndarray
    seen_after: np.ndarray

    def png(self) -> bytes:
        gap = np.full((self.seen_before.shape[0], 4), np.nan)
        return _grey(np.hstack([self.seen_before, gap, self.seen_after])[::-1])

    def save(self, stem: str | Path) -> list[Path]:
        """Write STEM.png, STEM-before.wav and STEM-after.wav; returns their paths."""
        import soundfile

        stem = Path(stem)
        paths = [stem.with_name(stem.name + end) for end in (".png", "-before.wav", "-after.wav")]
        try:
            paths[0].write_bytes(self.png())
            for path, sound in zip(paths[1:], (self.before, self.after), strict=True):
                soundfile.write(path, np.clip(sound.samples, -1, 1), sound.sample_rate, subtype="PCM_16")
        except (OSError, soundfile.SoundFileError) as error:
            raise TonearmError(f"{stem}: the preview could not be written: {error}", code="write") from None
        return paths


def preview(chain: Chain, clip: Waveform, *, other: Waveform | None = None, seed: int = 0) -> Preview:
    """A clip before and after `chain`; `other` is what mixup may mix it with.

    Augmentations of spectrograms become sound by way of 128 mel bands and the clip's own phase: blurred, but enough
    to hear what they hide and move.
    """
    if not chain.steps:
        raise UsageError("there is nothing to preview", hint="name at least one augmentation")
    kinds = {step.on == "waveform" for step in chain.steps}
    if len(kinds) > 1:
        raise UsageError("augmentations of waveforms and of spectrograms are previewed one at a time")
    clips = [clip.samples, (other or clip).samples]
    size = min(map(len, clips))
    samples = torch.from_numpy(np.stack([np.asarray(c[:size], np.float32) for c in clips]))
    draw = np.random.default_rng(seed)
    y = torch.eye(2)
    rate = clip.sample_rate
    # Relative to a fixed power: with the clip's own peak, a gain would not be seen.
    feature = features.create("logmel", sample_rate=rate, n_fft=N_FFT, hop_length=HOP, ref=1.0)
    decibels = feature.batch(samples, rate)
    if kinds == {True}:
        changed = chain(samples[:, None], y, draw)[0][0, 0]
        seen = feature.batch(changed[None], rate)[0]
        return Preview(
            Waveform(samples[0].numpy(), rate), Waveform(changed.numpy(), rate), decibels[0].numpy(), seen.numpy()
        )
    mean, deviation = decibels.mean(), decibels.std().clamp(min=1e-6)
    changed = chain((decibels - mean) / deviation, y, draw)[0][0] * deviation + mean
    bank = torch.from_numpy(filters(feature.mel, rate, N_FFT).copy())
    heard = [_sound(seen, samples[0], bank) for seen in (decibels[0], changed)]
    # One gain for both, so that what is softer sounds softer.
    loudest = max(float(heard[0].abs().max()), 1e-9)
    before, after = (Waveform((sound * (0.5 / loudest)).numpy(), rate) for sound in heard)
    return Preview(before, after, decibels[0].numpy(), changed.numpy())


def _sound(decibels: torch.Tensor, samples: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Mel bands in dB (bands, frames) as samples, with the phase of `samples`."""
    window = torch.hann_window(N_FFT)
    how = {"n_fft": N_FFT, "hop_length": HOP, "window": window, "center": True}
    phase = torch.stft(samples, **how, pad_mode="constant", return_complex=True)
    energy = (bank / bank.sum(1, keepdim=True).clamp(min=1e-9)).T @ 10 ** (decibels / 10)
    frames = min(energy.shape[1], phase.shape[1])
    turned = torch.polar(energy[:, :frames].sqrt(), phase[:, :frames].angle())
    return torch.istft(turned, **how, length=len(samples))


def _grey(values: np.ndarray) -> bytes:
    """A grey picture of (rows, columns), bright is high, NaN is white."""
    low, high = np.nanmin(values), np.nanmax(values)
    grey = np.nan_to_num((values - low) / max(high - low, 1e-9), nan=1.0)
    return png.encode(np.round(grey * 255).astype(np.uint8))
