"""What is wrong with single tracks and with the labels as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tonearm.audit.examine import Heard, failed
from tonearm.packs import Pack
from tonearm.protocols import TrackTable

CODES = {
    "silent": "nothing but silence",
    "mostly-silent": "silent for more than half of its time",
    "constant": "the same value throughout",
    "clipped": "cut off at full scale",
    "too-short": "much shorter than the others",
    "rate": "another sample rate than the others",
    "truncated": "the file ends before it should",
    "not-finite": "values that are no numbers",
    "known-bad": "known to be bad in every copy of the dataset",
    "label-once": "a genre with a single track",
    "no-label": "no genre is given",
    "imbalance": "some genres have many more tracks than others",
}
SOUND_CODES = ("silent", "mostly-silent", "constant", "clipped", "too-short", "truncated", "rate", "not-finite")
MOST_CLIPPED = 0.01
SHORT = 0.7  # of the usual length
AGREE = 0.9  # a usual length or rate is one that nearly all share
IMBALANCE = 3.0


def finding(code: str, track: str, message: str) -> dict[str, Any]:
    return {"code": code, "id": track, "message": message}


def of_sound(
    table: TrackTable, heard: Sequence[object], *, usual_rate: int = 0, min_seconds: float = 0.0
) -> list[dict[str, Any]]:
    """Findings on decoded files; `heard` holds a Heard or an error for each track, None where there is no file."""
    found = []
    sound = [(track, h) for track, h in zip(table.ids.tolist(), heard, strict=True) if isinstance(h, Heard)]
    for track, h in zip(table.ids.tolist(), heard, strict=True):
        if h is not None and failed(h):
            found.append(finding(h.code, track, getattr(h, "reason", "") or h.message))
    rate = usual_rate or _usual([h.sample_rate for _, h in sound])
    seconds = _usual_length([h.seconds for _, h in sound])
    for track, h in sound:
        found += [finding("truncated", track, warning) for warning in h.warnings]
        if h.constant:
            code = "silent" if h.peak < 1e-4 else "constant"
            found.append(finding(code, track, f"every sample is {h.peak:g}"))
        elif h.quiet > 0.99:
            found.append(finding("silent", track, "below -70 dB of full scale throughout"))
        elif h.quiet > 0.5:
            found.append(finding("mostly-silent", track, f"below -70 dB of full scale for {h.quiet:.0%} of its time"))
        if h.clipped > MOST_CLIPPED and not h.constant:
            found.append(finding("clipped", track, f"{h.clipped:.1%} of its samples lie at full scale in a row"))
        if h.seconds < max(min_seconds, 1.0) or (seconds and h.seconds < SHORT * seconds):
            found.append(finding("too-short", track, f"{h.seconds:.1f} s; the others have {seconds or 0:.1f} s"))
        if rate and h.sample_rate != rate:
            found.append(finding("rate", track, f"{h.sample_rate:,} Hz instead of {rate:,} Hz"))
    return found


def _usual(values: Sequence[int]) -> int:
    """The value that nearly all have, else 0."""
    if not values:
        return 0
    unique, counts = np.unique(values, return_counts=True)
    return int(unique[counts.argmax()]) if counts.max() >= AGREE * len(values) else 0


def _usual_length(seconds: Sequence[float]) -> float:
    """The length that nearly all have within 5 %, else 0: in a collection of songs there is none."""
    if len(seconds) < 3:
        return 0.0
    middle = float(np.median(seconds))
    near = np.abs(np.asarray(seconds) - middle) <= 0.05 * middle
    return middle if near.mean() >= 0.75 else 0.0


def of_pack(pack: Pack, table: TrackTable) -> list[dict[str, Any]]:
    """Findings on the arrays of a pack: values that are no numbers, rows that do not vary, clips cut short."""
    found = []
    broken, constant = np.zeros(len(table), bool), np.ones(len(table), bool)
    quiet = np.zeros(len(table))
    for row, values in zip(table.row_track, pack.features, strict=True):
        values = np.asarray(values)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            broken[row] = True
        constant[row] &= bool((values == values.flat[0]).all())
        if values.ndim == 2 and values.shape[1] >= 8:
            # A frame in which every band has the lowest value of the clip is silence: it is below the floor.
            quiet[row] = max(quiet[row], float((values == values.min()).all(axis=0).mean()))
    for i, track in enumerate(table.ids.tolist()):
        if broken[i]:
            found.append(finding("not-finite", track, "holds NaN or infinite values"))
        if constant[i]:
            found.append(finding("constant", track, "every value is the same: silence, or a clip that failed"))
        elif quiet[i] > 0.5:
            found.append(finding("mostly-silent", track, f"nothing above the floor in {quiet[i]:.0%} of its frames"))
    return found + list(_short_by_samples(table))


def _short_by_samples(table: TrackTable) -> Iterator[dict[str, Any]]:
    values = table.column("samples")
    known = np.array([float(v) if v.replace(".", "", 1).isdigit() else np.nan for v in values.tolist()])
    if np.isnan(known).all():
        return
    usual = _usual_length(known[np.isfinite(known)].tolist())
    for track, samples in zip(table.ids.tolist(), known, strict=True):
        if usual and samples < SHORT * usual:
            yield finding("too-short", track, f"{samples:,.0f} samples; the others have {usual:,.0f}")


def of_labels(table: TrackTable) -> list[dict[str, Any]]:
    """Genres with one track, tracks without one, and the balance."""
    found = [
        finding("no-label", track, "no genre is given")
        for track, genre in zip(table.ids.tolist(), table.genre.tolist(), strict=True)
        if not genre
    ]
    genres, counts = np.unique(table.genre[table.genre != ""], return_counts=True)
    for genre, count in zip(genres.tolist(), counts.tolist(), strict=True):
        if count == 1:
            only = table.ids[table.genre == genre][0]
            found.append(finding("label-once", str(only), f"the only track of {genre!r}: it cannot be split"))
    if len(counts) and counts.max() > IMBALANCE * counts.min():
        most, least = str(genres[counts.argmax()]), str(genres[counts.argmin()])
        text = f"{counts.max()} tracks of {most!r}, {counts.min()} of {least!r}: accuracy flatters who says {most!r}"
        found.append(finding("imbalance", "", f"{text}; look at balanced accuracy"))
    return found


def known_bad(table: TrackTable, dataset: str) -> list[dict[str, Any]]:
    """Tracks that are known to be bad, if the dataset is one that tonearm knows: by its name, else by its ids."""
    from tonearm import datasets

    found = []
    for name in datasets.registry:
        known = datasets.registry.get(name).known_bad
        if known and dataset.split("?")[0].split("-")[0].lower() == name:
            found = [finding("known-bad", track, known[track]) for track in table.ids.tolist() if track in known]
    return found


def balance(table: TrackTable) -> dict[str, int]:
    """Tracks per genre."""
    genres, counts = np.unique(table.genre, return_counts=True)
    return {str(genre) or "(none)": int(count) for genre, count in zip(genres, counts, strict=True)}
