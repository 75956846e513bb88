"""What to build."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tonearm import __version__
from tonearm.audio.prepare import Preparation
from tonearm.errors import UsageError
from tonearm.packs._clips import Clips
from tonearm.packs.pack import DTYPES


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to build: everything that decides the bytes of the pack, and nothing that does not."""

    name: str
    feature: Any
    clips: Clips = field(default_factory=Clips)
    dtype: str = "float32"
    scale: Any = None
    prepare: Preparation = field(default_factory=Preparation)
    further: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")
        if self.dtype == "uint8":
            object.__setattr__(self, "scale", scale_of(self.feature, self.scale))
        elif self.scale is not None:
            raise UsageError(f"a scale is for uint8; {self.dtype} keeps the values as they are")
        if self.pad and self.feature.sample_rate is None:
            raise UsageError(
                f"at each file's own sample rate, {self.feature.kind!r} has as many shapes as there are rates",
                hint="set its sample_rate, or its frames",
            )
        if self.pad and self.clips.clip_seconds is None:
            raise UsageError(
                f"the feature {self.feature.kind!r} grows with the clip, so whole tracks do not fit into one array",
                hint="give --clip-seconds, or set its frames",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        rate = self.feature.sample_rate or 44100
        return tuple(self.feature.shape(round((self.clips.clip_seconds or 30.0) * rate), rate))

    @property
    def pad(self) -> bool:
        """Whether the feature grows with the clip, so that shorter ones must be filled up to make one array."""
        rate = self.feature.sample_rate or 44100
        samples = round((self.clips.clip_seconds or 30.0) * rate)
        return self.feature.shape(samples, rate) != self.feature.shape(2 * samples, rate)

    def config(self) -> dict[str, Any]:
        """What must be equal for rows to be of the same build, as plain data."""
        clips = {("clips_per_track" if k == "per_track" else k): v for k, v in asdict(self.clips).items()}
        return {
            "tonearm": __version__,
            "feature": self.feature.config(),
            "dtype": self.dtype,
            "scale": self.scale,
            "clip": clips,
            "prepare": self.prepare.config(),
        }


def scale_of(feature: Any, asked: Any = None) -> dict[str, Any]:
    """How a feature is brought into one byte: as asked for ("clip-minmax" or (low, high)), or the best that fits it."""
    top_db = getattr(feature, "top_db", None)
    if asked is None and top_db and getattr(feature, "ref", None) == "max":
        asked = (-top_db, 0.0)
    if asked is None or asked == "clip-minmax":
        return {"kind": "clip-minmax", "text": "per clip: min-max to 0..255; absolute level is lost"}
    try:
        low, high = (float(end) for end in asked)
    except (TypeError, ValueError):
        low = high = 0.0
    if not low < high:
        raise UsageError(f"a scale is clip-minmax or LOW,HIGH with low below high, not {asked!r}")
    return {
        "kind": "range",
        "low": low,
        "high": high,
        "text": f"{low:g} to {high:g} linearly to 0..255, cut off outside",
    }
