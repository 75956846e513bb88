"""Files looked at (which sound, what tags) and songs heard: excerpts through a model, as vectors for a head."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache as once
from functools import partial
from typing import Any

import numpy as np

from tonearm.audio import AudioError
from tonearm.engines import local
from tonearm.errors import TonearmError, UsageError
from tonearm.learning.cache import Cache, Known
from tonearm.learning.songs import Song
from tonearm.tags.errors import from_os

# A song that takes longer than this hangs; its worker is replaced.
TIMEOUT_SECONDS = 300.0

Counter = Callable[[str, int, int], None] | None
Problems = list[dict[str, str]]


def walk(root: str, problems: Problems) -> list[str]:
    """Music below a folder, sorted by name."""
    from tonearm.library import folders

    listing = folders.walk([root])
    problems += listing.problems
    return sorted(listing.files)


def look(
    songs: Sequence[Song], cache: Cache, problems: Problems, *, workers: int | None = None, progress: Counter = None
) -> list[Song]:
    """Songs with what their files say: sound, genres and artist of the tags. What cannot be read is left out."""
    found: dict[int, Known] = {}
    sizes: dict[int, tuple[int, int]] = {}
    for place, song in enumerate(songs):
        try:
            status = os.stat(song.path)
        except OSError as error:
            problems.append(_problem(song.path, from_os(song.path, error)))
            continue
        sizes[place] = status.st_size, status.st_mtime_ns
        if known := cache.file(song.path, *sizes[place]):
            found[place] = known
    places = [place for place in sizes if place not in found]
    for place, value in _spread(_look, songs, places, problems, workers, progress, "looked at"):
        found[place] = value
        cache.keep_file(songs[place].path, *sizes[place], value)
    return [
        replace(song, sound=found[i].sound.hex(), genres=found[i].genres, artist=song.artist or found[i].artist)
        for i, song in enumerate(songs)
        if i in found
    ]


def hear(
    songs: Sequence[Song], ear_name: str, ear_version: str, cache: Cache, problems: Problems, *,
    workers: int | None = None, progress: Counter = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The vector of each sound that can be heard, by `Song.sound`; copies are heard once.

    What the cache has is not heard again; what is heard is kept at once, so that a kill costs the songs in hand.
    """
    vectors: dict[str, np.ndarray] = {}
    first: dict[str, int] = {}
    for place, song in enumerate(songs):
        if song.sound in first:
            continue
        first[song.sound] = place
        vector = cache.vector(ear_version, bytes.fromhex(song.sound))
        if vector is not None:
            vectors[song.sound] = vector
    places = [place for sound, place in first.items() if sound not in vectors]
    work = partial(_hear, ear_name)
    for place, vector in _spread(work, songs, places, problems, workers, progress, "heard"):
        vectors[songs[place].sound] = vector
        cache.keep_vector(ear_version, bytes.fromhex(songs[place].sound), vector)
    return vectors


def _spread(
    work: Callable, songs: Sequence[Song], places: list[int], problems: Problems, workers: int | None,
    progress: Counter, word: str,
) -> Iterable[tuple[int, Any]]:  # fmt: skip
    """Place and result of each song that succeeds, in order of completion; the others become problems."""
    if not places:
        return
    # Few songs are not worth all processes; one is, so that a file that crashes a decoder costs itself alone.
    count = min(workers or local.default_workers(), -(-len(places) // 4))
    paths = [songs[place].path for place in places]
    for number, outcome in enumerate(local.run(work, paths, workers=count, timeout_seconds=TIMEOUT_SECONDS), 1):
        if progress:
            progress(word, number, len(places))
        if isinstance(outcome.error, UsageError):
            raise outcome.error  # of the model, not of the file
        if outcome.error is not None:
            problems.append(_problem(songs[places[outcome.index]].path, outcome.error))
        else:
            yield places[outcome.index], outcome.value


def _problem(path: str, error: TonearmError) -> dict[str, str]:
    return {"path": path, "code": error.code, "message": getattr(error, "reason", "") or error.message}


# ---- in a worker


def _look(path: str) -> Known:
    from tonearm.library import sound

    try:
        # Not as a whole: a pipe that took the place of the file would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise AudioError(path, "not-audio", "it is a pipe, a device or a folder, not a file")
            if status.st_size == 0:
                raise AudioError(path, "empty", "the file has no bytes")
            digest, tags = sound.examine(file, path)
    except OSError as error:
        raise from_os(path, error) from None
    return Known(digest, tags.genres, tags.artist or "")


def _hear(ear_name: str, path: str) -> np.ndarray:
    return listen(_ear(ear_name, os.getpid()), path)


@once
def _ear(name: str, pid: int) -> Any:
    # By process: ONNX Runtime, once started, does not survive a fork for certain.
    return open_ear(name)


ENCODER = "encoder:"


def open_ear(name: str) -> Any:
    """What hears: a model by name or path, or `encoder:` and the path of an encoder."""
    from tonearm import runtime

    if name.startswith(ENCODER):
        from tonearm.runtime.encoder import open_encoder

        return open_encoder(name.removeprefix(ENCODER))
    return runtime.load(name)


def check_encoder(name: str) -> None:
    """Run an encoder once on noise, in a process of its own: whatever a graph does, it does it there."""
    for outcome in local.run(_check, [name], workers=1, timeout_seconds=TIMEOUT_SECONDS):
        if outcome.error is not None:
            raise outcome.error


def _check(name: str) -> int:
    return open_ear(name).check()


class NothingToLearn(TonearmError):
    """A file that can be read, and in which there is no music, or too little of it."""

    def __init__(self, path: str, code: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}", code=code)
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple:
        # Errors cross process borders: keyword arguments must survive.
        return NothingToLearn, (self.path, self.code, self.reason)


def listen(ear: Any, source: Any, *, sample_rate: int | None = None) -> np.ndarray:
    """All that a head learns from of one sound, float32 (columns,)."""
    from tonearm.runtime import _checks, _listen, personal, statistics

    inputs = personal.inputs_of(ear)
    with _listen.hearing(source, ear.plan, sample_rate) as sound:
        excerpts, warnings = _checks.examine(sound.heard.excerpts, sound.heard.there_seconds)
        for warning in warnings:
            if warning.code in _checks.DOUBTFUL:
                raise NothingToLearn(str(source), warning.code, warning.message)
        if "statistics" in inputs:  # a model, that hears as it does in a scan: a library is as good as its files
            _, embedding, array = ear.all_heard(sound, excerpts)
            told = statistics.statistics(array, span=personal.span_of(ear))
            found = {"embedding": embedding, "statistics": told}
        else:
            found = personal.described(ear, ear.features_of(excerpts), inputs)
    return np.concatenate([found[name] for name in inputs]).astype(np.float32)
