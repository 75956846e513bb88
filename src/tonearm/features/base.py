"""What a feature is: a named, configured way from waveform to array."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, dataclass_transform

import numpy as np

from tonearm import audio
from tonearm.audio import Waveform
from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.features import _fields, _ops
from tonearm.features._grid import WINDOWS, Grid
from tonearm.features._spectra import Spectra
from tonearm.registry import Registry

Array = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Feature:
    """A feature: its fields are its constructor keywords and its config. Called with a waveform it returns an array.

    A feature of frames returns (rows, frames) with `axes` ("row", "frame"); one of columns returns (columns,).
    Write one with `@feature("name")` on a subclass that has `compute` and `rows` (or `columns`).
    """

    kind: ClassVar[str] = ""
    axes: ClassVar[tuple[str, ...]] = ("row", "frame")
    has_batch: ClassVar[bool] = True

    sample_rate: int | None = _fields.whole(
        22050, "samples a second; null is the waveform's own rate", least=100, most=1_000_000, optional=True
    )
    clip_seconds: float | None = _fields.real(
        None, "length of the clips that packs and models cut for it", above=0, optional=True
    )

    def __post_init__(self) -> None:
        _fields.run_checks(self)
        self.check()

    def check(self) -> None:
        """Refuse keywords that do not go together, with a UsageError."""

    def compute(self, spectra: Spectra) -> Array:
        """The feature of one clip or a batch: (..., rows, frames), or (..., columns); numpy or torch as `spectra`."""
        raise NotImplementedError

    def __call__(self, waveform: Waveform, *, total_samples: int | None = None) -> np.ndarray:
        """The feature of one waveform, float32; it is resampled if it has another rate.

        `total_samples` is the length of the whole clip, at the feature's rate, where the waveform is its beginning.
        """
        samples = self.prepare(waveform)
        rate = self.sample_rate or waveform.sample_rate
        return _ops.float32(self.compute(Spectra(samples, rate, total_samples=total_samples)))

    def prepare(self, waveform: Waveform) -> np.ndarray:
        """The samples at the feature's rate, float32, shape (n,); not copied where they are that already."""
        samples = np.ascontiguousarray(waveform.samples, np.float32)
        if samples.ndim != 1:
            raise TonearmError(f"a waveform is mono, shape (n,), not {samples.shape}", code="shape")
        if not len(samples):
            raise TonearmError("the waveform is empty", code="empty")
        # One sum tells whether any is NaN or infinite; only where it is not finite it is worth a closer look.
        with np.errstate(all="ignore"):
            finite = np.isfinite(samples.sum()) or np.isfinite(samples).all()
        if not finite:
            raise TonearmError("the waveform holds NaN or infinite samples", code="not-finite")
        if self.sample_rate is None or self.sample_rate == waveform.sample_rate:
            return samples
        samples = np.ascontiguousarray(audio.resample(samples, waveform.sample_rate, self.sample_rate), np.float32)
        if not len(samples):
            raise TonearmError(f"the waveform is too short for {self.sample_rate} Hz", code="too-short")
        return samples

    def batch(self, samples: Array, sample_rate: int) -> Array:
        """The torch way: clips (batch, n) of one rate to float32 (batch, rows, frames) on the device they lie on."""
        if not self.has_batch:
            raise UsageError(f"the feature {self.kind!r} has no torch way", hint="compute it from waveforms instead")
        if self.sample_rate not in (None, int(sample_rate)):
            raise UsageError(
                f"the feature wants {self.sample_rate} Hz, the batch has {sample_rate} Hz",
                hint="resample when the audio is loaded: audio.load(path, sample_rate=...)",
            )
        if samples.ndim != 2 or not samples.shape[-1]:
            raise UsageError(f"a batch has the shape (clips, samples), not {tuple(samples.shape)}")
        # Training may run in half precision; decibels of 80 below the peak do not.
        with _ops.module(samples).autocast(samples.device.type, enabled=False):
            return _ops.float32(self.compute(Spectra(samples.float(), sample_rate)))

    @property
    def rows(self) -> int | None:
        """How many rows the array has; None where that depends on the clip."""
        columns = self.columns()
        return None if columns is None else len(columns)

    def columns(self) -> list[str] | None:
        """A name for each row (or, of a feature without frames, for each column); None where they have none."""
        return None

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Between which values every clip lies, where that is known: what one byte per value can be scaled by."""
        return None

    def frame_count(self, n_samples: int) -> int:
        """How many frames a clip of so many samples at the feature's rate has."""
        raise NotImplementedError

    def shape(self, n_samples: int | None = None, sample_rate: int | None = None) -> tuple[int, ...]:
        """The shape of the array of a clip of `n_samples` at `sample_rate` (left out: one of `clip_seconds`)."""
        rate = sample_rate or self.sample_rate
        if n_samples is None:
            if self.clip_seconds is None or rate is None:
                raise UsageError("the shape depends on the clip", hint="give n_samples and sample_rate")
            n_samples = round(self.clip_seconds * rate)
        if self.sample_rate not in (None, rate):
            n_samples = resampled_length(n_samples, rate, self.sample_rate)
        return self.shape_of(n_samples, self.sample_rate or rate or 0)

    def shape_of(self, n_samples: int, sample_rate: int) -> tuple[int, ...]:
        """The shape for a clip that has the feature's rate already."""
        if "frame" not in self.axes:
            return (self.rows,)
        return (self.rows, self.frame_count(n_samples))

    def config(self) -> dict[str, Any]:
        """Kind and every keyword, in plain types that JSON and YAML know; `from_config` reads it back."""
        values = {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return {"kind": self.kind, **values}


registry: Registry[type[Feature]] = Registry("feature", "tonearm.features")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,))
def feature(kind: str) -> Callable[[type], type]:
    """Make a class a feature of that name: a frozen dataclass with keywords only, in the registry."""

    def register(cls: type) -> type:
        cls.kind = kind
        return registry.add(kind)(dataclasses.dataclass(frozen=True, kw_only=True)(cls))

    return register


@dataclasses.dataclass(frozen=True, kw_only=True)
class Framed(Feature):
    """A feature of windows of the clip: all of them, or `frames` spread over it."""

    n_fft: int = _fields.whole(2048, "samples in a window", least=2)
    hop_length: int = _fields.whole(512, "samples from one window to the next")
    center: bool = _fields.flag(True, "frame t is centred on sample t * hop_length; else it begins there")
    frames: int | None = _fields.whole(None, "so many frames spread over the clip; null is all", optional=True)
    frame_divisor: float | None = _fields.real(
        None, "column i is frame floor((i + 0.5) / frame_divisor * T); null is `frames`", above=0, optional=True
    )

    def check(self) -> None:
        if self.frame_divisor is not None and self.frames is None:
            raise UsageError("frame_divisor without frames says nothing", hint="give frames too, or neither")
        if self.frame_divisor is not None and self.frame_divisor < self.frames - 0.5:
            raise UsageError(
                f"frame_divisor {self.frame_divisor:g} puts the last of {self.frames} frames behind the end",
                hint=f"it must be at least {self.frames - 0.5:g}",
            )

    @cached_property
    def grid(self) -> Grid:
        return Grid(self.n_fft, self.hop_length, None, "rectangular", self.center, self.frames, self.frame_divisor)

    def frame_count(self, n_samples: int) -> int:
        return self.grid.count(n_samples)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spectral(Framed):
    """A feature of the magnitudes of those windows."""

    window: str = _fields.choice("hann", "taper of a window", WINDOWS)
    win_length: int | None = _fields.whole(None, "samples under the taper; null is n_fft", optional=True)

    def check(self) -> None:
        super().check()
        if self.win_length is not None and self.win_length > self.n_fft:
            raise UsageError(f"win_length {self.win_length} is longer than the window of n_fft {self.n_fft}")

    @cached_property
    def grid(self) -> Grid:
        win_length = None if self.win_length == self.n_fft else self.win_length
        return Grid(self.n_fft, self.hop_length, win_length, self.window, self.center, self.frames, self.frame_divisor)


def create(kind: str, **keywords: Any) -> Feature:
    """The feature of that name with those keywords; what is not named has its default."""
    cls = registry.get(kind)
    valid = [field.name for field in dataclasses.fields(cls)]
    for name in keywords:
        if name not in valid:
            raise unknown_name(f"keyword of the feature {kind!r}:", name, valid)
    return cls(**keywords)


# What a pack may say about its feature beside the keywords, for people to read.
_NOTES = ("frame_rule", "library")
_RULE = re.compile(r"floor\(\(i \+ 0\.5\) / ([0-9.]+) \* T\)")


def from_config(config: Mapping[str, Any]) -> Feature:
    """The feature that a `config()`, or the `feature` of a pack.json, describes.

    Packs may give the frames as `frame_rule`, a sentence with "floor((i + 0.5) / D * T)" in it, and the sample rate as
    "native", with an explanation behind it.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("kind"), str):
        raise UsageError(f"a feature is described by its kind and keywords, not {config!r}")
    if config["kind"] == "table":
        return _of_table(config)
    keywords = {str(name): value for name, value in config.items() if name != "kind" and name not in _NOTES}
    if str(keywords.get("sample_rate")).startswith("native"):
        keywords["sample_rate"] = None
    rule = config.get("frame_rule")
    if rule is not None and keywords.get("frame_divisor") is None:
        found = _RULE.search(str(rule))
        if not found:
            raise UsageError(
                f"the frame_rule is not understood: {rule!r}", hint='it must contain "floor((i + 0.5) / D * T)"'
            )
        keywords["frame_divisor"] = float(found[1])
    return create(config["kind"], **keywords)


def _of_table(config: Mapping[str, Any]) -> Feature:
    """Packs of published tables name only their columns: the statistics that has just these."""
    for table in ("gtzan", "fma"):
        statistics = create("statistics", table=table)
        if statistics.columns() == list(config.get("columns") or ()):
            return statistics
    raise UsageError("a table of those columns cannot be computed from sound", hint="it can only be read from its pack")


def plain(value: Any) -> Any:
    """A value of a keyword in the types of JSON."""
    if isinstance(value, Feature):
        return value.config()
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """How many samples `audio.resample` makes of so many."""
    # soxr rounds halves up.
    return (2 * n_samples * to_rate + from_rate) // (2 * from_rate)
