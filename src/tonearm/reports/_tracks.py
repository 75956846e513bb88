"""What is known of single tracks for a page: their row in a pack, title, sound and spectrogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tonearm.errors import TonearmError
from tonearm.packs import Pack
from tonearm.reports import _html as h
from tonearm.reports import _sound, _views
from tonearm.reports._draw import WIDTH, Axes, Drawing
from tonearm.reports._html import Safe, tag


@dataclass(frozen=True)
class Tracks:
    """A pack (where there is one) and files by id (where there are some). `row` is the first row of each track."""

    pack: Pack | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    row: Mapping[str, int] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """Artist and title, as far as they are known."""
        return " – ".join(filter(None, (self.value(name, "artist_name"), self.value(name, "title"))))

    def value(self, name: str, column: str) -> str:
        """What the table says of a track; empty where it does not."""
        return str(self.pack.column(column)[self.row[name]]) if self.pack is not None and name in self.row else ""

    def spectrogram(self, name: str, title: str) -> Drawing | None:
        """A picture of a track from the pack, where that holds spectra over time."""
        if self.pack is None or name not in self.row or not is_spectral(self.pack):
            return None
        return pack_picture(self.pack, self.row[name], title)


def tracks_of(pack: Pack | None, ids: Sequence[str], audio: str | None) -> Tracks:
    row: dict[str, int] = {}
    if pack is not None:
        for index, name in enumerate(pack.tracks.tolist()):
            row.setdefault(name, index)
    return Tracks(pack, _sound.files(audio, set(ids)) if audio else {}, row)


def is_spectral(pack: Pack) -> bool:
    """Whether a row is bands (or the like) over frames, many enough for a picture."""
    return pack.features.ndim == 3 and pack.features.shape[1] >= 4 and pack.features.shape[2] >= 8


def levels_of(pack: Pack, row: int | np.ndarray | slice) -> np.ndarray:
    """Rows of a spectral pack in dB where it holds dB: the range of 80 dB stands in where the scale lost it."""
    values = pack.decoded(row)
    if pack.features.dtype == np.uint8 and "min" in str(pack.meta.get("scale")):
        return (values - 1.0) * np.float32(pack.feature_config.get("top_db") or 80.0)
    return values


def seconds_of(pack: Pack, row: int) -> float | None:
    """How long the stretch of a row is."""
    config, clip = pack.feature_config, pack.meta.get("clip") or {}
    try:
        if pack.column("seconds")[row]:
            return min(float(pack.column("seconds")[row]), float(clip.get("clip_seconds") or np.inf))
        if config.get("clip_seconds") or clip.get("clip_seconds"):
            return float(config.get("clip_seconds") or clip["clip_seconds"])
        return pack.features.shape[2] * float(config.get("hop_length", 512)) / float(config["sample_rate"])
    except (KeyError, TypeError, ValueError):
        return None


def rate_of(pack: Pack, row: int) -> float | None:
    """The sample rate that a row was computed at; None where the pack does not say."""
    for value in (pack.feature_config.get("sample_rate"), pack.column("sample_rate")[row]):
        try:
            return float(value)
        except (TypeError, ValueError):
            continue
    return None


def pack_picture(pack: Pack, row: int, title: str, *, height: float = 92) -> Drawing:
    """The feature of one row as colours over time."""
    from tonearm.features._mel import Mel

    config = pack.feature_config
    values = levels_of(pack, row)
    draw = Drawing(title)
    length = seconds_of(pack, row)
    axes = Axes(draw, _views.LEFT, 8, WIDTH - _views.LEFT - _views.RIGHT, height, (0.0, length or values.shape[1]),
                (0.5, len(values) + 0.5))  # fmt: skip
    kind = config.get("kind")
    if kind in ("logmel", "mel"):
        mel = Mel(len(values), config.get("fmin") or 0.0, config.get("fmax"), config.get("mel_scale") or "slaney")
        _views.mel_axis(axes, values if kind == "logmel" else _decibels(values), mel, rate_of(pack, row))
    elif kind == "mfcc":
        _views.cepstra(axes, values)
    else:
        low, high = (float(edge) for edge in np.quantile(values, [0.01, 0.99]))
        up = "pitch class" if kind == "chroma" else "row"
        _views.picture(axes, _views.Picture(values, low, high, ("low", "high")), up)
    draw.height = axes.top + height + (18 if length else 30)
    if not length:
        draw.text(axes.left + axes.width, draw.height - 4, "frame", size=10, anchor="end", color="--soft")
    return draw


def pack_table(pack: Pack, row: int, name: str) -> Safe:
    """The values of that picture as CSV, of at most 128 frames."""
    values = levels_of(pack, row)
    step = -(-values.shape[1] // 128)
    head = ["frame", *(pack.feature_columns or [f"row{number + 1}" for number in range(len(values))])]
    # Decibels to the whole one: more digits would be most of the page.
    digits = ".0f" if pack.feature_config.get("kind") == "logmel" else ".3g"
    frames = range(0, values.shape[1], step)
    rows = ([frame, *(format(value, digits) for value in values[:, frame])] for frame in frames)
    return h.download(name, head, rows)


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-10))


def heard(tracks: Tracks, name: str, words: str) -> tuple[Safe, Any]:
    """A player with an excerpt of a track, and the excerpt; nothing where there is no file, a word where it is bad."""
    path = tracks.paths.get(name)
    if not path:
        return Safe(""), None
    try:
        cut = _sound.excerpt(path)
    except TonearmError as error:
        return tag("p", f"Its file cannot be heard: {error.message}", class_="small soft"), None
    return _sound.player(cut.address, words), cut
