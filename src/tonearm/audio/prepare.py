"""Preparation of sound before features: steps that are off unless a configuration names them, in its order."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tonearm.audio._filters import high_pass, loudness_lufs, spectral_gate
from tonearm.audio.errors import AudioError
from tonearm.audio.waveform import Waveform
from tonearm.errors import UsageError, unknown_name

__all__ = ["STEPS", "Preparation", "create", "loudness_lufs"]


def _loudness(waveform: Waveform, *, target_lufs: float = -23.0) -> Waveform:
    """Bring the integrated loudness (EBU R 128) to a target; peaks may then exceed 1."""
    return _amplify(waveform, target_lufs - loudness_lufs(waveform.samples, waveform.sample_rate))


def _rms(waveform: Waveform, *, target_dbfs: float = -20.0) -> Waveform:
    """Bring the root mean square to a target, in dB relative to a full-scale square wave; peaks may then exceed 1."""
    power = np.mean(np.square(waveform.samples, dtype=np.float64))
    return _amplify(waveform, target_dbfs - 10 * math.log10(power) if power > 0 else math.inf)


def _amplify(waveform: Waveform, gain_db: float) -> Waveform:
    if not math.isfinite(gain_db):
        return replace(waveform, warnings=(*waveform.warnings, "too quiet to be measured; its level was left as it is"))
    return replace(waveform, samples=waveform.samples * np.float32(10 ** (gain_db / 20)))


def _trim(waveform: Waveform, *, top_db: float = 60.0, frame_length: int = 2048, hop_length: int = 512) -> Waveform:
    """Cut off both ends as far as they are `top_db` below the loudest frame: the samples of librosa.effects.trim."""
    n = len(waveform.samples)
    padded = np.pad(np.square(waveform.samples, dtype=np.float64), frame_length // 2)
    total = np.concatenate([[0.0], np.cumsum(padded)])
    if not np.isfinite(total[-1]):
        raise AudioError("clip", "not-finite", "it holds NaN or infinite samples, so nothing is its loudest frame")
    begins = np.arange(0, len(padded) - frame_length + 1, hop_length)
    power = np.maximum((total[begins + frame_length] - total[begins]) / frame_length, 1e-10)
    loud = np.flatnonzero(10 * np.log10(power / power.max()) > -top_db)
    first, last = int(loud[0]) * hop_length, min(n, (int(loud[-1]) + 1) * hop_length)
    return replace(waveform, samples=waveform.samples[first:last])


def _denoise(
    waveform: Waveform, *, reduction_db: float = 12.0, threshold_db: float = 6.0, noise_quantile: float = 0.1
) -> Waveform:
    """Turn down what does not stand out from the steady noise of its band (spectral gating)."""
    samples = spectral_gate(waveform.samples, reduction_db, threshold_db, noise_quantile)
    return replace(waveform, samples=samples)


def _highpass(waveform: Waveform, *, cutoff_hz: float = 20.0, order: int = 8) -> Waveform:
    """Remove an offset and what lies below hearing: -3 dB at the cutoff, -48 dB an octave below."""
    if not 0 < cutoff_hz < waveform.sample_rate / 2:
        raise UsageError(f"cutoff_hz must lie between 0 and half the sample rate: {cutoff_hz:g}")
    return replace(waveform, samples=high_pass(waveform.samples, waveform.sample_rate, cutoff_hz, order))


def _drop(waveform: Waveform, *, non_finite: bool = True, constant: bool = True) -> Waveform:
    """Refuse clips that hold NaN or infinity, or nothing but one value, with an AudioError."""
    samples = waveform.samples
    if non_finite and not np.isfinite(samples).all():
        raise AudioError("clip", "not-finite", "it holds NaN or infinite samples")
    if constant and (not len(samples) or samples.min() == samples.max()):
        raise AudioError("clip", "empty", "all of its samples have one value")
    return waveform


STEPS: dict[str, Callable[..., Waveform]] = {
    "denoise": _denoise,
    "drop": _drop,
    "highpass": _highpass,
    "loudness": _loudness,
    "rms": _rms,
    "trim": _trim,
}


class Preparation:
    """Steps in order; call it with a waveform. `config()` is what `create` makes the same thing from again."""

    def __init__(self, steps: Iterable[tuple[str, dict[str, Any]]] = ()) -> None:
        self._steps = tuple(steps)

    def config(self) -> list[dict[str, Any]]:
        """Every step with every parameter, also those left at their defaults: defaults may change, a pack may not."""
        return [{"step": name, **keywords} for name, keywords in self._steps]

    def __call__(self, waveform: Waveform, name: str = "clip") -> Waveform:
        """The prepared waveform; `name` is the file that an error or a message names."""
        for step, keywords in self._steps:
            if not len(waveform.samples) and step != "drop":
                continue  # nothing to measure, nothing to change
            try:
                waveform = STEPS[step](waveform, **keywords)
            except AudioError as error:
                raise AudioError(name, error.code, error.reason, hint=error.hint) from None
        return replace(waveform, silent=_is_silent(waveform.samples)) if self._steps else waveform

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Preparation) and self._steps == other._steps

    def __hash__(self) -> int:
        return hash(repr(self._steps))

    def __repr__(self) -> str:
        return f"Preparation({self.config()})"


def create(config: Iterable[str | Mapping[str, Any]] | None = None) -> Preparation:
    """Steps from a list such as `["drop", {"step": "loudness", "target_lufs": -23}]`; nothing is no preparation."""
    if isinstance(config, str | Mapping):
        raise UsageError("a preparation is a list of steps", hint='for example [{"step": "trim", "top_db": 40}]')
    return Preparation(_step(entry) for entry in config or ())


def _step(entry: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    given = {"step": entry} if isinstance(entry, str) else dict(entry)
    name = given.pop("step", None)
    if name not in STEPS:
        raise unknown_name("preparation step", name, STEPS)
    keywords = {}
    for parameter in list(inspect.signature(STEPS[name]).parameters.values())[1:]:
        keywords[parameter.name] = _value(name, parameter, given.pop(parameter.name, parameter.default))
    for key in given:
        raise unknown_name(f"key of the preparation step {name!r}:", key, keywords)
    return name, keywords


def _value(step: str, parameter: inspect.Parameter, value: Any) -> Any:
    """A parameter as the type of its default; text and the like from a configuration are refused."""
    kind = type(parameter.default)
    if isinstance(value, bool) == (kind is bool) and isinstance(value, bool | int | float) and math.isfinite(value):
        lowest = _LOWEST.get(parameter.name, -math.inf)
        if value == kind(value) and lowest <= value <= _HIGHEST.get(parameter.name, math.inf):
            return kind(value)
    wanted = {bool: "true or false", int: "a whole number"}.get(kind, "a number")
    limits = f" of at least {_LOWEST[parameter.name]:g}" if parameter.name in _LOWEST else ""
    limits += f" and at most {_HIGHEST[parameter.name]:g}" if parameter.name in _HIGHEST else ""
    raise UsageError(f"preparation step {step!r}: {parameter.name} must be {wanted}{limits}, not {value!r}")


_LOWEST = {"top_db": 0, "frame_length": 2, "hop_length": 1, "reduction_db": 0, "noise_quantile": 0, "order": 1}
_HIGHEST = {"noise_quantile": 1, "order": 20}


def _is_silent(samples: np.ndarray) -> bool:
    return bool(not len(samples) or samples.min() == samples.max())
