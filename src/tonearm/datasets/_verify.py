"""Is a copy of a dataset sound? Every file is decoded once; all that is wrong is listed, nothing stops the walk."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tonearm import audio
from tonearm.datasets._dataset import Dataset
from tonearm.engines import local
from tonearm.packs import Track

# Without a dataset that says so, another rate is worth a word only where nearly all files agree on one.
_AGREE = 0.9

CODES = {
    "missing": "not in this copy",
    "no-audio": "no audio in this copy at all",
    "known-bad": "known to be bad in every copy",
    "duplicate": "the same sound as another track",
    "silent": "digital silence",
    "too-short": "shorter than it should be",
    "rate": "another sample rate than the rest",
    "several-files": "there in several formats",
    "no-genre": "no genre is known",
    "no-path": "a row of the table names no file",
    "listed-twice": "two rows of the table name one file",
    "id-twice": "two rows of the table have one id",
    "unknown-split": "a part of the split that has no meaning",
    **{code: text for code, text in audio.CODES.items() if code not in ("missing", "too-short")},
}


class Finding(NamedTuple):
    """One thing that is wrong with one track (`id`, empty where it is with the copy as a whole)."""

    code: str
    id: str
    path: str
    message: str


@dataclass(frozen=True)
class Report:
    """What `verify` found, in order of code and id. `seconds` is the length of all sound that could be read."""

    dataset: str
    root: str
    tracks: int
    seconds: float
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        counts = Counter(finding.code for finding in self.findings)
        return {
            "dataset": self.dataset,
            "root": self.root,
            "tracks": self.tracks,
            "seconds": round(self.seconds, 3),
            "counts": dict(sorted(counts.items())),
            "findings": [finding._asdict() for finding in self.findings],
        }


class Sound(NamedTuple):
    """What decoding one file told. `digest` is of the decoded samples, so that WAV and FLAC of one sound agree."""

    seconds: float
    sample_rate: int
    silent: bool
    digest: str
    warnings: tuple[str, ...]


def listen(path: str) -> Sound:
    """Decode a file in blocks, so that memory does not grow with its length. Runs in a worker."""
    digest = hashlib.sha256()
    samples, rate, silent, warnings = 0, 0, True, ()
    for block in audio.stream(path):
        digest.update(block.samples.tobytes())
        samples += len(block.samples)
        rate = block.sample_rate
        silent = silent and block.silent
        warnings += block.warnings
    return Sound(samples / rate if rate else 0.0, rate, silent, digest.hexdigest(), warnings)


def verify(
    dataset: Dataset,
    root: Path | None,
    *,
    workers: int | None = None,
    timeout_seconds: float | None = 600.0,
    progress: Callable[[int], Any] | None = None,
    **options: Any,
) -> Report:
    """All that is wrong with a copy. `progress(total)` is called once and returns what is called after each file."""
    tracks = _tracks_quietly(dataset, root, options)
    findings = [Finding(p.code, p.id, p.path, p.message) for p in dataset.problems(root, **options)]
    gone = {finding.path for finding in findings if finding.code == "missing"}
    present = [track for track in tracks if track.path and track.path not in gone]
    if any(finding.code == "no-audio" for finding in findings):
        present = []
    if not tracks and not findings:
        # An empty disk is no sound copy: whoever verifies a backup must not be told that nothing is wrong.
        findings.append(Finding("no-audio", "", os.fspath(root or ""), f"no tracks of {dataset.name} here"))
    findings += _known_bad(dataset, tracks)
    sounds: dict[str, tuple[Track, Sound]] = {}
    step = progress(len(present)) if progress else None
    paths = [track.path for track in present]
    for outcome in local.run(listen, paths, workers=workers, timeout_seconds=timeout_seconds):
        track = present[outcome.index]
        if outcome.error is not None:
            reason = getattr(outcome.error, "reason", outcome.error.message)
            findings.append(Finding(outcome.error.code, track.id, track.path or "", reason))
        else:
            sounds[track.id] = (track, outcome.value)
        if step:
            step(outcome.error is not None)
    heard = [sounds[track.id] for track in present if track.id in sounds]
    findings += _of_each(dataset, heard)
    findings += _other_rates(dataset, heard)
    findings += _duplicates(heard)
    findings.sort(key=lambda finding: (finding.code, finding.id, finding.path))
    total = sum(sound.seconds for _, sound in heard)
    return Report(dataset.name, os.fspath(root or ""), len(tracks), total, findings)


def _tracks_quietly(dataset: Dataset, root: Path | None, options: dict[str, Any]) -> list[Track]:
    """Tracks without the warnings of a scan: all of them become findings."""
    log = logging.getLogger("tonearm.datasets")
    before, log.disabled = log.disabled, True
    try:
        return dataset.tracks(root, **options)
    finally:
        log.disabled = before


def _known_bad(dataset: Dataset, tracks: Iterable[Track]) -> Iterator[Finding]:
    for track in tracks:
        if track.id in dataset.known_bad:
            yield Finding("known-bad", track.id, track.path or "", dataset.known_bad[track.id])


def _of_each(dataset: Dataset, heard: list[tuple[Track, Sound]]) -> Iterator[Finding]:
    for track, sound in heard:
        path = track.path or ""
        for warning in sound.warnings:
            yield Finding("truncated", track.id, path, warning)
        if sound.silent:
            yield Finding("silent", track.id, path, "every sample has the same value")
        if sound.seconds < dataset.min_seconds:
            text = f"{sound.seconds:.1f} s of sound instead of at least {dataset.min_seconds:g} s"
            yield Finding("too-short", track.id, path, text)


def _other_rates(dataset: Dataset, heard: list[tuple[Track, Sound]]) -> Iterator[Finding]:
    rates = Counter(sound.sample_rate for _, sound in heard)
    usual = dataset.sample_rate
    if not usual and rates:
        usual, count = rates.most_common(1)[0]
        if count < _AGREE * len(heard):
            return
    for track, sound in heard:
        if sound.sample_rate != usual:
            text = f"{sound.sample_rate:,} Hz instead of {usual:,} Hz"
            yield Finding("rate", track.id, track.path or "", text)


def _duplicates(heard: list[tuple[Track, Sound]]) -> Iterator[Finding]:
    """All but the first of each group of equal sounds; silence is equal to silence and says nothing."""
    groups: dict[tuple[str, int], list[Track]] = defaultdict(list)
    for track, sound in heard:
        if not sound.silent:
            groups[sound.digest, sound.sample_rate].append(track)
    for first, *others in groups.values():
        for track in others:
            genres = f", labelled {first.genre}" if first.genre != track.genre else ""
            known = "; the dataset says so" if track.recording and track.recording == first.recording else ""
            text = f"the same sound as {first.id}{genres}{known}"
            yield Finding("duplicate", track.id, track.path or "", text)
