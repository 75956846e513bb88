"""A model judged on a part of a pack or dataset: what `tonearm evaluate` prints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.errors import UsageError, unknown_name
from tonearm.evaluation import calibration, figures, metrics
from tonearm.evaluation.coverage import coverage
from tonearm.evaluation.intervals import RESAMPLES, rate_interval
from tonearm.evaluation.predictions import Predictions, checked_predictions, join_segments, match_classes
from tonearm.judging.asking import Asked, ask_clips, ask_files, ask_pack
from tonearm.judging.parts import Part, choose
from tonearm.judging.predictor import Predictor, open_predictor
from tonearm.judging.seen import Seen, seen

if TYPE_CHECKING:
    from tonearm.packs import Pack
    from tonearm.protocols import TrackTable

WANTED = (0.9,)


@dataclass(frozen=True)
class Judged:
    """What was found: `figures` as plain JSON values, and the predictions that they are made of."""

    figures: dict[str, Any]
    tracks: Predictions
    segments: Predictions | None
    seen: Seen


@dataclass(frozen=True)
class Data:
    """A pack or a dataset of audio, with its tracks; `name` is its own, `source` as the user wrote it."""

    name: str
    source: str
    table: TrackTable
    pack: Pack | None = None


def open_data(source: str | os.PathLike) -> Data:
    """A pack, or a dataset as `tonearm data` names it."""
    from tonearm import datasets, packs, protocols

    text = os.fspath(source)
    folder = Path(os.path.expanduser(text))
    if (folder / "pack.json").is_file():
        pack = packs.open_pack(folder)
        return Data(pack.name, text, protocols.table_of(pack), pack)
    resolved = datasets.resolve(text)
    name = str(resolved.defaults.get("name") or resolved.dataset.name)
    return Data(name, text, protocols.table_of(resolved.tracks, name=name))


def evaluate(
    model: str | os.PathLike | Predictor,
    data: str | os.PathLike,
    *,
    part: str | None = None,
    split_file: str | os.PathLike | None = None,
    protocol: str | None = None,
    by: Sequence[str] = (),
    wanted: Sequence[float] = WANTED,
    limit: int | None = None,
    resamples: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    quiet: bool = False,
) -> Judged:
    """Judge a model on a part of the data (test, else valid, else all of it), with intervals and what it knew of it.

    A run on its own data is judged on its own split, and gives its own figures. `by` are columns of the tracks.
    `limit` takes so many tracks, the same share of every genre.
    """
    predictor = open_predictor(model)
    source = open_data(data)
    chosen = choose(predictor, source.table, part=part, split_file=split_file, protocol=protocol)
    chosen = limited(chosen, source.table, limit, seed)
    labels = source.table.genre[chosen.tracks]
    match_classes(predictor.classes, labels.tolist(), data_name=source.name)
    for name in by:
        if name not in source.table.column_names:
            raise unknown_name("column", name, source.table.column_names)
    asked = _asked(predictor, source, chosen, workers=workers, quiet=quiet)
    segments, tracks = _predictions(predictor, source.table, asked)
    about = {
        "model": predictor.name, "data": source.name, "split": chosen.name, "protocol": chosen.protocol,
        "resamples": resamples or getattr(predictor, "resamples", RESAMPLES), "seed": seed,
    }  # fmt: skip
    known = seen(predictor.training, source.table, _tracks_of(source.table, tracks))
    return Judged(
        _figures(predictor, source, chosen, asked, segments, tracks, known, about, by, wanted),
        tracks,
        segments,
        known,
    )


def limited(part: Part, table: TrackTable, limit: int | None, seed: int) -> Part:
    """At most so many tracks of a part, the same share of every genre, drawn with the seed."""
    if limit is None or limit >= len(part.tracks):
        return part
    if limit < 1:
        raise UsageError("a limit is at least one track")
    draw = np.random.default_rng(seed)
    # Each track's place among those of its genre, as a share: the lowest are the same share of every genre.
    place = np.empty(len(part.tracks))
    genre = table.genre[part.tracks]
    for name in np.unique(genre):
        members = np.flatnonzero(genre == name)
        place[draw.permutation(members)] = (np.arange(len(members)) + draw.random()) / len(members)
    return replace(part, tracks=part.tracks[np.sort(np.argsort(place, kind="stable")[:limit])])


def _asked(predictor: Predictor, source: Data, part: Part, *, workers: int | None, quiet: bool) -> Asked:
    if part.segments is not None:
        if source.pack is None or predictor.kind != "run":
            raise UsageError(
                f"{part.split} deals clips: only a run can be judged by it, on its own pack",
                hint="name another part with --split, or all",
            )
        return ask_clips(predictor, source, part)
    if source.pack is not None:
        return ask_pack(predictor, source, part)
    return ask_files(predictor, source, part, workers=workers, quiet=quiet)


def _predictions(predictor: Predictor, table: TrackTable, asked: Asked) -> tuple[Predictions, Predictions]:
    segments = checked_predictions(
        table.ids[asked.tracks].tolist(), table.genre[asked.tracks].tolist(), asked.probabilities, predictor.classes,
        groups=table.artist[asked.tracks].tolist(), unit="segment",
    )  # fmt: skip
    return segments, join_segments(segments, how=predictor.join)


def _tracks_of(table: TrackTable, tracks: Predictions) -> np.ndarray:
    place = {name: i for i, name in enumerate(table.ids.tolist())}
    return np.array([place[name] for name in tracks.ids], dtype=int)


def _figures(
    predictor: Predictor, source: Data, part: Part, asked: Asked, segments: Predictions, tracks: Predictions,
    known: Seen, about: dict[str, Any], by: Sequence[str], wanted: Sequence[float],
) -> dict[str, Any]:  # fmt: skip
    more = len(segments) > len(tracks)
    # Votes joined over some clips of a song, of which others were learnt, are a figure that nobody published.
    main = segments if part.segments is not None and more else tracks
    found = figures.summary(main, **about)
    calibrated = replace(tracks, probabilities=predictor.calibrated(tracks.probabilities))
    resampling = {"resamples": about["resamples"], "seed": about["seed"]}
    rows = _tracks_of(source.table, tracks)
    chance, most = calibration.calibration_error_by_chance(calibrated.probabilities, seed=about["seed"])
    return {
        **found,
        "model_kind": predictor.kind,
        "model_version": predictor.version,
        "split_name": part.split,
        "split_hash": part.split_hash,
        "leaky": part.leaky,
        "n_segments": len(segments),
        "segments": figures.summary(segments, **about) if more and main is tracks else None,
        "seen_in_training": {**known.to_json(), "accuracy_of_the_others": _unseen(tracks, known, resampling)},
        "calibrated": {
            "temperature": predictor.temperature,
            "applied": predictor.kind == "model",
            "log_loss": metrics.log_loss(calibrated.truth, calibrated.probabilities),
            "ece": calibration.expected_calibration_error(calibrated.truth, calibrated.probabilities),
            "ece_by_chance": {"mean": chance, "limit": most},
            "reliability": [asdict(row) for row in calibration.reliability(calibrated.truth, calibrated.probabilities)],
        },
        "coverage": coverage(calibrated, threshold=predictor.threshold, wanted=wanted, **resampling),
        "by": {
            name: figures.accuracy_by(tracks, source.table.column(name)[rows].tolist(), **resampling) for name in by
        },
        "failed": list(asked.failed),
    }


def _unseen(tracks: Predictions, known: Seen, resampling: dict[str, int]) -> dict[str, Any] | None:
    """Accuracy without what the model knew: tracks, recordings and artists. None where it knew none, or all."""
    others = np.flatnonzero(~known.any)
    if not known.any.any() or not len(others):
        return None
    correct = metrics.right(tracks.truth, tracks.probabilities)[others]
    groups = [tracks.groups[i] for i in others.tolist()] if tracks.groups is not None else None
    over = "artists" if groups and any(groups) else "tracks"
    rate = rate_interval(correct, groups=groups if over == "artists" else None, over=over, **resampling)
    return {"accuracy": rate.value, "interval": rate.pair(), "n": rate.n}
