"""One file, in a worker: which sound it is, its tags, and, unless the library knows that sound, what is heard in it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tonearm.audio import AudioError
from tonearm.errors import TonearmError
from tonearm.library import sound
from tonearm.library.folders import Status, status_of
from tonearm.library.sound import Tags
from tonearm.tags.errors import from_os


class Job(NamedTuple):
    """`hash`: the sound is known, and only what the library lacks of it is wanted."""

    path: str
    file_id: int
    hash: bytes | None = None


class Heard(NamedTuple):
    """A prediction as the library stores it."""

    genre: str | None
    probability: float | None
    sure: bool
    genres: str
    warnings: str | None
    probabilities: bytes
    vectors: dict[str, bytes]


@dataclass
class Look:
    """What came of one file. `decoded`: it had to be heard; `error`: what went wrong, where anything did."""

    job: Job
    status: Status | None = None
    hash: bytes | None = None
    tags: Tags | None = None
    seconds: float | None = None
    sketch: bytes | None = None
    heard: Heard | None = None
    decoded: bool = False
    error: dict[str, str] | None = field(default=None)


class Wanted(NamedTuple):
    """What a scan asks of each sound: by which model (a path; None for no prediction), into which library."""

    library: str
    model: str | None
    model_id: int | None


def look(wanted: Wanted, job: Job) -> Look:
    """Everything about one file that the library does not know yet; what is wrong with the file is in the result."""
    found = Look(job, hash=job.hash)
    try:
        if job.hash is None:
            _examine(found)
        _hear(found, wanted, _known(wanted, found.hash))
    except TonearmError as error:
        reason = getattr(error, "reason", "") or error.message
        found.error = {"code": error.code, "message": reason}
    return found


def _examine(found: Look) -> None:
    path = found.job.path
    try:
        # Not as a whole: a pipe that took the place of the file would wait for a writer for ever.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise AudioError(path, "not-audio", "it is a pipe, a device or a folder, not a file")
            found.status = status_of(status)
            if status.st_size == 0:
                raise AudioError(path, "empty", "the file has no bytes")
            found.hash, found.tags = sound.examine(file, path)
    except OSError as error:
        raise from_os(path, error) from error


def _known(wanted: Wanted, digest: bytes | None) -> set[str]:
    """What the library has of a sound already: its length, its sketch, what the model says."""
    row = _reader(wanted.library, os.getpid()).one(
        "SELECT c.seconds, k.content_id, p.content_id FROM contents c "
        "LEFT JOIN sketches k ON k.content_id = c.id "
        "LEFT JOIN predictions p ON p.content_id = c.id AND p.model_id = ? WHERE c.hash = ?",
        (wanted.model_id, digest),
    )
    names = ("seconds", "sketch", "prediction")
    return {name for name, value in zip(names, row or (), strict=bool(row)) if value is not None}


@cache
def _reader(library: str, pid: int) -> Any:
    # By process: a connection to SQLite must not be carried over a fork.
    from tonearm.library import store

    return store.open(library)


def _hear(found: Look, wanted: Wanted, known: set[str]) -> None:
    from tonearm import audio
    from tonearm.library import prints

    path = found.job.path
    if wanted.model and "prediction" not in known:
        found.decoded = True
        found.heard, found.seconds = _predict(wanted.model, path)
    # A model reads other places of the song than a fingerprint does. That would cost a fifth more, of those too who
    # never ask for copies: where a model hears, it is left until somebody does (copies.complete).
    if not wanted.model and "sketch" not in known:
        found.decoded = True
        found.sketch = prints.of_file(path)
    if "seconds" not in known and found.seconds is None:
        found.seconds = audio.info(path).seconds


@cache
def _model(path: str, pid: int) -> Any:
    # By process: ONNX Runtime, once started, does not survive a fork for certain.
    from tonearm import runtime

    return runtime.load(path)


def _predict(path_of_model: str, path: str) -> tuple[Heard, float | None]:
    from tonearm.runtime import statistics

    kept: list[np.ndarray] = []
    said = _model(path_of_model, os.getpid()).predict(path, features_to=kept.append)
    best = said.genres[0] if said.genres else None
    vectors = {} if said.embedding is None else {"embedding": np.asarray(said.embedding, "<f2").tobytes()}
    if kept and kept[0].ndim == 3:
        # Learning one's own genres takes these too: then it has nothing to decode.
        vectors[statistics.VERSION] = statistics.statistics(kept[0]).astype("<f2").tobytes()
    warnings = [{"code": warning.code, "message": warning.message} for warning in said.warnings]
    heard = Heard(
        genre=best.genre if best else None,
        probability=float(best.probability) if best else None,
        sure=bool(said.sure),
        genres=json.dumps([{"genre": genre, "probability": round(float(share), 4)} for genre, share in said.genres]),
        warnings=json.dumps(warnings) if warnings else None,
        probabilities=np.asarray(said.probabilities, "<f4").tobytes(),
        vectors=vectors,
    )
    return heard, said.seconds
