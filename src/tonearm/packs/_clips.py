"""From one file to the rows of a pack: which stretches are cut, how they are padded, and what is written down."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from tonearm import audio
from tonearm.audio import AudioError, Waveform
from tonearm.audio.prepare import Preparation
from tonearm.errors import TonearmError, UsageError
from tonearm.features import quantise
from tonearm.packs._journal import Row, RowsFile, checksum
from tonearm.packs.pack import PackError

EXCERPTS = ("start", "middle")
MIN_SECONDS = 0.5
# A further clip of a track may lack this much at its end (30 s files are often some frames short of three 10 s clips).
NEARLY = 0.95
# The stamp of a file that is not there.
MISSING = (-1, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """Which stretches of a track are looked at.

    `clip_seconds` None is the whole track. `per_track` 0 is as many as fit. `overlap` is the share of a clip that the
    next one has in common with it. A file with less than `min_seconds` is refused: half a second unless given, or the
    clip where that is shorter.
    """

    clip_seconds: float | None = 30.0
    excerpt: str = "start"
    per_track: int = 1
    overlap: float = 0.0
    min_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.clip_seconds is not None and not 0 < self.clip_seconds < math.inf:
            raise UsageError(f"a clip of {self.clip_seconds} s cannot be: give a length above 0")
        if self.min_seconds is None:
            object.__setattr__(self, "min_seconds", min(MIN_SECONDS, self.clip_seconds or MIN_SECONDS))
        if self.excerpt not in EXCERPTS:
            raise UsageError(f"excerpt {self.excerpt!r} is not one of {', '.join(EXCERPTS)}")
        if self.per_track < 0:
            raise UsageError("the number of clips per track is a whole number from 1, or all")
        if not 0 <= self.overlap < 1:
            raise UsageError(f"an overlap of {self.overlap} is not a share of a clip: 0 to below 1")
        if not self.min_seconds >= 0:
            raise UsageError("min_seconds cannot be below 0")
        if self.clip_seconds is None and (self.per_track != 1 or self.excerpt != "start"):
            raise UsageError("the whole track is one clip from its start: no excerpt, no further clips")
        if self.clip_seconds is not None and self.min_seconds > self.clip_seconds:
            raise UsageError(f"min_seconds {self.min_seconds} is more than the clip's {self.clip_seconds}")

    @property
    def segments(self) -> bool:
        """Whether rows are segments, with a `track` column, and not tracks."""
        return self.per_track != 1

    @property
    def hop_seconds(self) -> float:
        return (self.clip_seconds or 0.0) * (1.0 - self.overlap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a worker has to know, picklable; `pad` says whether short clips are filled up with zeros."""

    rows: RowsFile
    clips: Clips
    feature: Any
    prepare: Preparation
    scale: Any
    pad: bool


def make_rows(job: Job, item: tuple[str, int | None]) -> tuple[tuple[int, int], list[Row]]:
    """Write the rows of one file into the working array; `item` is its path and its first slot (None: at the end).

    Returns the stamp of the file as it was read, and the rows. Runs in a worker process.
    """
    path, slot = item
    stamp = stamp_of(path)
    rows = []
    for number, clip in enumerate(_clips(path, job.clips, job.feature.sample_rate)):
        rows.append(_write(job, clip, None if slot is None else slot + number))
    return stamp, rows


def stamp_of(path: str | None) -> tuple[int, int]:
    """Size and time of last change, by which a file counts as the same; `MISSING` where there is none."""
    try:
        status = os.stat(path or "")
    except (OSError, ValueError):
        return MISSING
    return status.st_size, status.st_mtime_ns


Clip = tuple[float, Waveform]  # start in seconds, and the sound


def _clips(path: str, clips: Clips, sample_rate: int | None) -> Iterator[Clip]:
    """The clips of one track, one after the other."""
    start = 0.0
    if clips.excerpt == "middle":
        seconds = audio.info(path).seconds
        start = max(0.0, (seconds - _span(clips, seconds)) / 2)
    try:
        yield from _clips_from(path, clips, sample_rate, start)
    except AudioError as error:
        # The header said there is more than there is: what can be read lies before the middle.
        if error.code != "too-short" or not start:
            raise
        yield from _clips_from(path, clips, sample_rate, 0.0)


def _clips_from(path: str, clips: Clips, sample_rate: int | None, start: float) -> Iterator[Clip]:
    if not clips.segments:
        yield (
            start,
            audio.load(
                path,
                sample_rate=sample_rate,
                start_seconds=start,
                clip_seconds=clips.clip_seconds,
                min_seconds=clips.min_seconds,
            ),
        )
        return
    # A stream gives the same samples as one load, and an hour of music costs no more memory than a minute.
    blocks = audio.stream(path, sample_rate=sample_rate, start_seconds=start)
    any_clip = False
    for at, waveform in islice(_cut(blocks, clips), clips.per_track or None):
        any_clip = True
        yield start + at, waveform
    if not any_clip:
        raise AudioError(path, "too-short", f"less than {clips.min_seconds:g} s are there")


def _span(clips: Clips, seconds: float) -> float:
    """How much of a track its clips take, in seconds: what is centred for excerpts from the middle."""
    if seconds < clips.clip_seconds:
        return seconds
    fit = 1 + int((seconds - clips.clip_seconds) / clips.hop_seconds + 1e-6)
    return (min(fit, clips.per_track or fit) - 1) * clips.hop_seconds + clips.clip_seconds


def _cut(blocks: Iterator[Waveform], clips: Clips) -> Iterator[Clip]:
    """Clips from consecutive blocks of sound, holding no more than one clip and one block."""
    held, at, number, rate, warnings = np.zeros(0, np.float32), 0, 0, 0, ()

    def start_of(number: int) -> int:
        return round(number * clips.hop_seconds * rate)

    for block in blocks:
        rate, warnings = block.sample_rate, block.warnings
        held = np.concatenate([held, block.samples]) if len(held) else block.samples
        length = round(clips.clip_seconds * rate)
        while at + len(held) >= start_of(number) + length:
            begin = start_of(number) - at
            yield start_of(number) / rate, _waveform(held[begin : begin + length], rate, warnings)
            number += 1
        drop = max(0, min(len(held), start_of(number) - at))
        held, at = held[drop:], at + drop
    rest = held[max(0, start_of(number) - at) :]
    least = clips.min_seconds if number == 0 else NEARLY * clips.clip_seconds
    if len(rest) and len(rest) >= least * rate:
        yield start_of(number) / rate, _waveform(rest, rate, warnings)


def _waveform(samples: np.ndarray, rate: int, warnings: tuple[str, ...]) -> Waveform:
    return Waveform(samples, rate, silent=bool((samples == samples[0]).all()), warnings=warnings)


def _write(job: Job, clip: Clip, slot: int | None) -> Row:
    start, waveform = clip
    sound = job.prepare(waveform)
    if len(sound.samples) < min(len(waveform.samples), round(job.clips.min_seconds * sound.sample_rate)):
        raise AudioError("clip", "too-short", f"only {sound.seconds:.2f} s are left after preparation")
    row = np.ascontiguousarray(_encode(_compute(job, sound), job))
    data = row.reshape(-1).view(np.uint8).data
    try:
        slot = job.rows.extend(1) if slot is None else slot
        job.rows.write(slot, data)
    except OSError as error:
        # Not the file's fault: the whole build stops at this code.
        raise PackError(str(error.strerror or error), code="cannot-write") from None
    columns = {
        "sample_rate": str(sound.sample_rate),
        "samples": str(len(sound.samples)),
        "seconds": f"{len(sound.samples) / sound.sample_rate:.3f}",
        "start_seconds": f"{start:.3f}".rstrip("0").rstrip("."),
        "silent": "yes" if waveform.silent else "",
        "warning": "; ".join(sound.warnings),
    }
    return Row(slot, checksum(data), columns)


def _compute(job: Job, sound: Waveform) -> np.ndarray:
    if job.pad:
        length = round(job.clips.clip_seconds * sound.sample_rate)
        samples = sound.samples[:length]
        if len(samples) < length:
            samples = np.pad(samples, (0, length - len(samples)))
        sound = replace(sound, samples=samples)
    row = np.asarray(job.feature(sound))
    if row.shape != job.rows.shape:
        raise TonearmError(f"the feature has the shape {row.shape}, the pack {job.rows.shape}", code="shape")
    if not np.isfinite(row).all():
        raise TonearmError(f"the feature {job.feature.kind!r} is NaN or infinite for it", code="not-finite")
    return row


def _encode(row: np.ndarray, job: Job) -> np.ndarray:
    """One row in the type of the pack."""
    if job.rows.dtype == "float16" and np.abs(row).max(initial=0.0) > np.finfo(np.float16).max:
        raise TonearmError("its values do not fit into float16", hint="use --dtype float32", code="not-finite")
    return quantise(row, job.rows.dtype, job.scale)
