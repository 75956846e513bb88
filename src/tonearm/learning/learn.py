"""A personal model from music that is labelled already: look, hear, learn, and say how good it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation.intervals import rate_interval
from tonearm.learning import hearing
from tonearm.learning.cache import Cache
from tonearm.learning.fit import need_sklearn
from tonearm.learning.material import MIN_TRACKS, LearnError, Material, Scarce, learnable, scarce
from tonearm.learning.songs import Labelled, Song, from_table, joined_with_table, label
from tonearm.learning.study import SURE, Study, study
from tonearm.packs import Track

Progress = Callable[[str], None]
LABELS = ("tags", "folders")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `learn` can be told. `labels`: tags, folders or the path of a CSV; None looks which is there."""

    labels: str | None = None
    model: str = "fma"
    encoder: str | None = None
    workers: int | None = None
    min_tracks: int = MIN_TRACKS
    sure: float = SURE
    seed: int = 0
    force: bool = False


@dataclass
class Gathered:
    """Labelled tracks, vectors by track, and what could not be read or heard.

    `data` names a dataset whose ids may stand in the model; names of one's own songs never do.
    """

    labelled: Labelled
    vectors: dict[str, np.ndarray]
    problems: list[dict[str, str]]
    data: str = ""


def learn(
    what: str | os.PathLike, output: str | os.PathLike, options: Options | None = None, *,
    progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Learn from a folder, a CSV, a library (`library` or its file) or a pack; write a model; return the report.

    The report is what `tonearm learn --json` prints.
    """
    options = options or Options()
    began = time.monotonic()
    say = progress or (lambda words: None)
    need_sklearn()
    output = _writable(Path(output), options.force)
    if options.labels and options.labels not in LABELS and not Path(options.labels).is_file():
        raise UsageError(f"--labels {options.labels}: neither tags nor folders, nor a file", hint="--labels genres.csv")
    name = _ear_name(options)
    ear = hearing.open_ear(name)
    if options.encoder:
        hearing.check_encoder(name)
    from tonearm.runtime import personal

    told, graph = personal.ear_of(ear)
    gathered = _gather(what, name, ear, options, say)
    rows, few, tracks = _learnable(gathered, options.min_tracks)
    chosen = tuple(tracks[i] for i in rows.tolist())
    material = Material(chosen, np.stack([gathered.vectors[track.id] for track in chosen]).astype(np.float64))
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    # Products of matrices this small take longer on several cores than on one.
    with threadpool_limits(1):
        done = study(material, sure=options.sure, seed=options.seed, over=gathered.labelled.over, progress=progress)
    found = report(done, gathered, few, told, options)
    about = describe(output, done, found, told, gathered.data)
    arrays = {"weights": done.head.weights, "bias": done.head.bias, "mean": done.head.mean,
              "deviation": done.head.deviation}  # fmt: skip
    personal.save(output, about, arrays, graph)
    seconds = round(time.monotonic() - began, 3)
    return {"model": os.fspath(output), "version": personal.load(output).version, **found, "seconds": seconds}


def _learnable(gathered: Gathered, min_tracks: int) -> tuple[np.ndarray, list[Scarce], list[Track]]:
    """Rows to learn from, what is to be said of genres, and the tracks that both are about.

    What could not be heard does not count; genres that had too few songs from the start were not even tried.
    """
    labelled = gathered.labelled.tracks
    untried = {row.genre for row in scarce(labelled, min_tracks=min_tracks) if not row.kept}
    tracks = [track for track in labelled if track.id in gathered.vectors or track.genre in untried]
    if labelled and not gathered.vectors:
        told = "; ".join(f"{row['path']}: {row['message']}" for row in gathered.problems[:3])
        raise LearnError(f"none of the {len(labelled)} labelled songs can be heard ({told})", code="empty")
    return *learnable(tracks, min_tracks=min_tracks), tracks


def _ear_name(options: Options) -> str:
    return hearing.ENCODER + os.path.abspath(options.encoder) if options.encoder else options.model


def _writable(path: Path, force: bool) -> Path:
    """Before the music is heard, not after."""
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{path}: a personal model is an .npz file", hint=f"-o {path.with_suffix('.npz')}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file with -o")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="--force replaces it; or name another file with -o")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: there is no such folder")
    if not os.access(path.parent, os.W_OK):
        raise TonearmError(f"{path.parent}: nothing can be written there", code="cannot-write")
    return path


# ---- from what was named to vectors


def _gather(what: str | os.PathLike, name: str, ear: Any, options: Options, say: Progress) -> Gathered:
    text = os.fspath(what)
    path = Path(os.path.abspath(os.path.expanduser(text)))
    from tonearm.learning import from_library, from_pack

    if from_library.is_meant(text):
        return from_library.gather(text, name, ear, options, say)
    if path.is_dir() and (path / "pack.json").is_file():
        return from_pack.gather(path, ear, options, say)
    if path.is_dir():
        problems: hearing.Problems = []
        songs = [Song(path=file) for file in hearing.walk(os.fspath(path), problems)]
        if not songs:
            raise LearnError(f"{path}: there is no music in it", code="empty")
        return heard(songs, os.fspath(path), name, ear, options, say, problems)
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        if options.labels:
            raise UsageError(f"{path} holds the labels itself", hint="leave out --labels")
        songs = from_table(path)
        if not any(song.label for song in songs):
            what = f"none of its {len(songs)} rows has a genre" if songs else "it has no rows"
            raise LearnError(f"{path}: {what}", hint="genres stand in the column genre", code="unlabelled")
        return heard(songs, os.fspath(path.parent), name, ear, options, say, [])
    if path.exists():
        raise UsageError(f"{path}: neither a folder of music, a CSV, a library nor a pack")
    raise UsageError(f"{path}: there is no such file or folder", code="missing")


def heard(
    songs: list[Song], root: str, name: str, ear: Any, options: Options, say: Progress, problems: hearing.Problems
) -> Gathered:
    """Look at files, label them, drop genres that have too few, and hear the rest."""

    def counted(word: str, done: int, total: int) -> None:
        say(f"{word} {done} of {total} songs")

    with closing(Cache()) as cache:
        looked = hearing.look(songs, cache, problems, workers=options.workers, progress=counted)
        labelled = labelled_by(looked, root, options.labels)
        # Before an hour of listening: is there anything to learn at all?
        kept, _ = (
            learnable(labelled.tracks, min_tracks=options.min_tracks) if labelled.tracks or not songs else ([], [])
        )
        if not len(kept):
            raise _nothing_labelled(looked, labelled, problems)
        by_path = {song.path: song for song in looked}
        wanted = [by_path[labelled.tracks[i].id] for i in kept.tolist()]
        vectors = hearing.hear(
            wanted, name, ear_key(ear), cache, problems, workers=options.workers, progress=counted
        )  # fmt: skip
        if cache.broken:
            labelled.notes.append(f"what was heard could not be kept for the next time: {cache.broken}")
    return Gathered(labelled, {s.path: vectors[s.sound] for s in looked if s.sound in vectors}, problems)


def labelled_by(songs: list[Song], root: str, labels: str | None) -> Labelled:
    """Songs with labels by tags, folders, or the table that `labels` names."""
    if labels is None or labels in LABELS:
        return label(songs, root, labels)
    songs, strangers = joined_with_table(songs, Path(labels))
    labelled = label(songs, root, "table")
    if strangers:
        some = ", ".join(os.path.basename(path) for path in strangers[:3])
        labelled.notes.append(f"{len(strangers)} paths of the table are not among the songs: {some}")
    return labelled


def ear_key(ear: Any) -> str:
    """What decides the vectors, as the cache knows it."""
    from tonearm.runtime import personal, statistics

    own = f"+{statistics.VERSION}" if "statistics" in personal.inputs_of(ear) else ""
    return f"{ear.version}{own}"


def _nothing_labelled(songs: list[Song], labelled: Labelled, problems: hearing.Problems) -> LearnError:
    if not songs:
        told = "; ".join(f"{row['path']}: {row['message']}" for row in problems[:3])
        return LearnError(f"none of the {len(problems)} files can be read ({told})", code="empty")
    hint = "genres may stand in tags, in the names of folders, or in a CSV: --labels tags, folders or FILE.csv"
    return LearnError(f"none of the {len(songs)} songs has a genre by {labelled.by}", hint=hint, code="unlabelled")


# ---- what is said of it


def report(
    done: Study, gathered: Gathered, few: list[Scarce], told: dict[str, Any], options: Options
) -> dict[str, Any]:
    """The report as plain data."""
    labelled, figures = gathered.labelled, done.figures
    used = {key: told[key] for key in ("kind", "name")} | {"version": told.get("version") or told["sha256"][:12]}
    return {
        **{key: figures[key] for key in ("protocol", "split", "n", "accuracy", "interval", "interval_over",
           "interval_groups", "balanced_accuracy", "f1_macro", "ece", "log_loss", "top_k", "per_genre", "confusion")},
        "largest_genre": float(np.bincount(done.material.truth).max() / len(done.material)),
        "sure": _sure(done),
        "temperature": done.answers.temperature,
        "strength": done.answers.strength,
        "seeds": [options.seed],
        "ear": used,
        "labels": labelled.by,
        "notes": labelled.notes,
        "scarce": [vars(row) for row in few],
        "doubtful": [_doubt(doubt) for doubt in done.doubts],
        "no_doubts": done.no_doubts,
        "curve": [_point(point) for point in done.curve.points],
        "more_music": {"verdict": done.curve.verdict, "words": done.curve.words, "gain": _interval(done.curve.gain)},
        "unlabelled": labelled.unlabelled,
        "skipped": gathered.problems,
    }  # fmt: skip


def _sure(done: Study) -> dict[str, Any]:
    """Of how many answers the model is sure, and how often those are right."""
    threshold, probabilities = threshold_of(done), done.answers.probabilities
    given = probabilities.max(axis=1) >= threshold
    right = (probabilities.argmax(axis=1) == done.material.truth)[given]
    groups = done.material.groups[given]
    found = rate_interval(right, groups=groups) if len(right) else None
    return {
        "threshold": threshold,
        "wanted": done.threshold.wanted,
        "share": float(given.mean()),
        "accuracy": found.value if found else None,
        "interval": found.pair() if found else None,
    }


def threshold_of(done: Study) -> float:
    """Where no threshold makes answers as right as wanted, the model is sure of what it gives that probability.

    Never less than a half: songs of genres that the model does not know get such answers too.
    """
    found = done.threshold
    value = found.wanted if found.value is None else float(found.value)
    # Where all answers are good enough, the lowest that occurred is chance.
    return max(0.5, min(value, found.wanted) if found.coverage == 1 else value)


def _doubt(doubt: Any) -> dict[str, Any]:
    return {
        "path": doubt.track.path or doubt.track.id,
        "label": doubt.track.genre,
        "suggested": doubt.suggestion,
        "probability": doubt.probability,
        "probability_of_label": doubt.probability_of_label,
    }


def _point(point: Any) -> dict[str, Any]:
    return {"share": point.share, "artists": point.artists, "tracks": point.tracks, **_interval(point.accuracy)}


def _interval(found: Any) -> dict[str, Any]:
    return {"value": found.value, "interval": found.pair()}


def describe(output: Path, done: Study, found: dict[str, Any], told: dict[str, Any], data: str) -> dict[str, Any]:
    """What the model says about itself; no path and no name of one's own songs is in it."""
    from tonearm.runtime import statistics

    inputs = ["embedding"] if told["kind"] == "encoder" else ["embedding", "statistics"]
    per_genre = {
        genre: {"recall": row["recall"], "recall_interval": row["recall_interval"], "n": row["n"]}
        for genre, row in found["per_genre"].items()
    }
    known = {"data": data, "ids": done.material.table.ids.tolist()} if data else {}
    figure = {"dataset": data or "own music", "part": "cross-validation",
              **{key: found[key] for key in
                 ("protocol", "split", "n", "accuracy", "interval", "interval_over", "seeds")},
              "per_genre": per_genre}  # fmt: skip
    return {
        "name": output.stem,
        "classes": list(done.material.classes),
        "temperature": done.answers.temperature,
        "threshold": threshold_of(done),
        "inputs": inputs,
        "statistics": statistics.VERSION,
        "ear": told,
        "figures": [figure],
        "training": {"songs": len(done.material), "labels": found["labels"], "strength": done.answers.strength,
                     "seeds": found["seeds"], **known},
        "card": {"made_by": "tonearm learn", "more_music": found["more_music"]["words"]},
        "licence": "that of whoever learnt it",
    }  # fmt: skip
