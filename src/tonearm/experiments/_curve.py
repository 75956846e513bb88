"""How accuracy moves with what a recipe is given: training tracks, clip length, overlap, segments of a song.

The report is plain data: `over`, `unit` of x, and

    "points": [{"at", "x", "status", "error", "runs", "seeds", "n", "accuracy", "interval", "sd_over_seeds", "by_seed",
                …, "gain": None or the paired effect over the point before, "train_tracks": [per seed], …}]

beside what every experiment says (see `_ground.about`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import evaluation, runs
from tonearm.errors import UsageError, unknown_name
from tonearm.evaluation.figures import independent_groups
from tonearm.evaluation.metrics import right
from tonearm.experiments import _effects, _ground
from tonearm.experiments._effects import Answers
from tonearm.experiments._ground import Cell, Ground
from tonearm.protocols import Split, TrackTable, group, write_split
from tonearm.recipes import _splits
from tonearm.recipes._run import Options
from tonearm.recipes._schema import Recipe

FILE = "curve.json"
UNITS = {
    "tracks": "training tracks",
    "clip_seconds": "seconds of a clip",
    "overlap": "overlap of the clips that are judged",
    "segments": "segments of a song that are joined",
}
DEFAULTS = {
    "tracks": (0.1, 0.25, 0.5, 1.0),
    "clip_seconds": (1.0, 3.0, 5.0, 10.0),
    "overlap": (0.0, 0.25, 0.5, 0.75),
    "segments": (1, 2, 4, 8, 16),
}
_MOST_SEGMENTS = 10**6


def curve(
    recipe: Recipe, data: str, out: str | Path, over: str, options: Options, *, at: Sequence[float] = (),
    seeds: int = 1, on: str = "valid",
) -> dict[str, Any]:  # fmt: skip
    """Train `recipe` at each point of `over` and report accuracy there, each point paired with the one before.

    `tracks` are shares of the training tracks: whole artists, each genre by its share, and every subset holds the
    smaller ones; another seed draws other artists. `segments` trains once and joins fewer of each song's segments.
    """
    points = _points(over, at or DEFAULTS.get(over, ()))
    ground = _ground.ground(recipe, data, out, replace(options, hold_back=True), kind=f"curve over {over}", on=on)
    if over == "segments":
        cells = [_ground.cell(recipe, {}, "all segments")]
    else:
        _needs_frames(ground, over)
        cells = [_ground.cell(recipe, _settings(over, point), f"{over}={point:g}") for point in points]
    try:
        if over == "tracks":
            _run_subsets(ground, cells, points, seeds)
        else:
            _ground.run_cells(ground, cells, range(seeds))
    finally:  # what is done is reported, also where somebody stopped it
        rows = _segment_rows(ground, cells[0], points) if over == "segments" else _rows(ground, cells, over, points)
        report = {
            **_ground.about(ground), "over": over, "unit": UNITS[over], "seeds": seeds, "points": rows,
            "notes": _notes(ground, rows, over, seeds),
        }  # fmt: skip
        runs.write_json(ground.out / FILE, report)
    return report


def _points(over: str, at: Sequence[float]) -> list[float]:
    if over not in UNITS:
        raise unknown_name("curve over", over, UNITS)
    limits = {"tracks": (0, 1), "clip_seconds": (0, 3600), "overlap": (0, 0.99), "segments": (1, _MOST_SEGMENTS)}
    low, high = limits[over]
    for value in at:
        within = low <= value <= high and (value > 0 or over == "overlap")
        if not within or (over == "segments" and value != int(value)):
            what = "whole numbers from 1" if over == "segments" else f"numbers {'from' if low else 'above'} 0 to {high}"
            raise UsageError(f"--at {value:g} is no point of {over}", hint=f"{what}, such as {DEFAULTS[over]}")
    return sorted(set(at))


def _settings(over: str, point: float) -> dict[str, Any]:
    if over == "clip_seconds":
        return {"clip.seconds": point, "clip.frames": None}
    return {"clip.overlap": point} if over == "overlap" else {}


def _needs_frames(ground: Ground, over: str) -> None:
    """Clips can be cut only where there is time to cut; this is said before a training and not by each."""
    if over in ("clip_seconds", "overlap") and ground.material(ground.recipe).values.ndim == 2:
        raise UsageError(
            f"{ground.table.name} holds a row of numbers per track: there are no clips to cut",
            hint=f"--over {over} wants frames, such as a pack of log-mel; --over tracks works here",
        )


def _run_subsets(ground: Ground, cells: Sequence[Cell], points: Sequence[float], seeds: int) -> None:
    number, total = 0, len(cells) * seeds
    for one, share in zip(cells, points, strict=True):
        for seed in range(seeds):
            number += 1
            split = subset(ground.split, ground.table, share, seed)
            path = ground.out / "splits" / f"tracks={share:g}-seed-{seed}.json"
            write_split(split, path)
            tracks = len(split.parts["train"])
            _ground.say(ground.options, f"[{number}/{total}] {tracks} training tracks, seed {seed}")
            folder = ground.out / "runs" / _ground.folder_name(one.name) / f"seed-{seed}"
            _ground.tried(ground, one, seed, folder, split=path)
            if seed in one.errors:
                _ground.say(ground.options, f"  {one.errors[seed]}")


def subset(split: Split, table: TrackTable, share: float, seed: int) -> Split:
    """The split with about `share` of its training tracks: whole artists (or what it keeps apart), genre by genre.

    Artists come in an order of the seed, so a smaller share is part of every larger one. At least one of each genre.
    """
    if share >= 1:
        return split
    by = [column for column in ("artist", "recording") if column in split.keeps_apart] or ["track"]
    members = np.flatnonzero(np.isin(table.ids, list(split.parts["train"])))
    groups = group(table, by).of_track
    order = np.random.default_rng([seed, 77]).permutation(groups.max() + 1)
    kept: list[int] = []
    for genre in np.unique(table.genre[members]).tolist():
        own = members[table.genre[members] == genre]
        ranked = sorted({int(groups[i]) for i in own}, key=lambda one: order[one])
        sizes = np.cumsum([int((groups[own] == one).sum()) for one in ranked])
        # The first so many artists whose tracks come nearest to the share.
        count = int(np.argmin(np.abs(sizes - share * len(own)))) + 1
        kept += own[np.isin(groups[own], ranked[:count])].tolist()
    return replace(split, parts={**split.parts, "train": tuple(table.ids[sorted(kept)].tolist())})


def _rows(ground: Ground, cells: Sequence[Cell], over: str, points: Sequence[float]) -> list[dict[str, Any]]:
    rows = []
    for one, point in zip(cells, points, strict=True):
        row = {"at": point, "x": point, "gain": None, **_ground.told(one, ground.part, ground.options.resamples)}
        if over == "tracks":
            folders = [Path(folder) for folder in row["runs"]]
            row["train_tracks"] = [runs.read_json(folder / "run.json")["split"]["sizes"]["train"] for folder in folders]
            planned = subset(ground.split, ground.table, point, 0).parts["train"]
            row["x"] = float(np.mean(row["train_tracks"])) if folders else float(len(planned))
        rows.append(row)
    return _with_gains(rows, [one.answers for one in cells], ground.options.resamples)


def _segment_rows(ground: Ground, whole: Cell, points: Sequence[float]) -> list[dict[str, Any]]:
    """One training per seed, judged by 1, 2, 4 … of each song's segments, spread evenly over it."""
    base = _ground.told(whole, ground.part, ground.options.resamples)
    if not whole.done:
        return [{**base, "at": point, "x": point, "gain": None} for point in points]
    some = [runs.read_predictions(folder, ground.part, unit="segment") for folder in whole.done.values()]
    join = runs.read_json(next(iter(whole.done.values())) / "model" / "model.json")["clip"]["join"]
    most = max(np.unique(some[0].ids, return_counts=True)[1].tolist())
    rows, answers = [], []
    for point in sorted({min(int(point), most) for point in points}):
        tracks = [evaluation.join_segments(_spread(one, point), how=join) for one in some]
        groups, over = independent_groups(tracks[0])
        hits = np.stack([right(one.truth, one.probabilities) for one in tracks]).astype(float)
        told = Answers(hits, tuple(whole.done), tracks[0].ids, groups, over)
        seeds = evaluation.over_seeds(hits, groups=groups, over=over, resamples=ground.options.resamples)
        answers.append(told)
        figures = {
            "accuracy": seeds.mean, "interval": seeds.sampling.pair(), "by_seed": list(seeds.values),
            "sd_over_seeds": seeds.sd if len(hits) > 1 else None,
            "interval_over_seeds": [seeds.low, seeds.high] if len(hits) > 1 else None,
        }  # fmt: skip
        # What was not measured of fewer segments is not told of them.
        rest = dict.fromkeys(("balanced_accuracy", "f1_macro", "log_loss", "ece"))
        rows.append({**base, **rest, **figures, "name": f"segments={point}", "at": point, "x": point, "gain": None})
    return _with_gains(rows, answers, ground.options.resamples)


def _spread(segments: evaluation.Predictions, count: int) -> evaluation.Predictions:
    """At most `count` segments of each track, evenly spread; one is the middle one."""
    ids = np.array(segments.ids)
    kept = []
    for track in dict.fromkeys(segments.ids):
        rows = np.flatnonzero(ids == track)
        places = (np.arange(count) + 0.5) * len(rows) / count if count < len(rows) else np.arange(len(rows))
        kept += rows[places.astype(int)].tolist()
    return replace(
        segments,
        ids=tuple(ids[kept].tolist()),
        truth=segments.truth[kept],
        probabilities=segments.probabilities[kept],
        groups=None if segments.groups is None else tuple(segments.groups[row] for row in kept),
    )


def _with_gains(rows: list[dict[str, Any]], answers: Sequence[Answers | None], resamples: int) -> list[dict[str, Any]]:
    """Each point against the last one before it that has a figure."""
    before: Answers | None = None
    gains = []
    for row, own in zip(rows, answers, strict=True):
        if own is None:
            continue
        if before is not None:
            a, b = _ground.same_seeds(own, before)
            row["gain"] = _effects.effect(_effects.in_order(a, b.ids), b, resamples=resamples)
            gains.append(row["gain"])
        before = own
    _effects.corrected(gains)
    return rows


def _notes(ground: Ground, rows: Sequence[dict[str, Any]], over: str, seeds: int) -> list[str]:
    notes = []
    if ground.part == "test":
        notes.append("Judged on the test part, at somebody's word: what is chosen by this curve is chosen by the test.")
    else:
        notes.append("Judged on validation tracks; the test part was left out and not read.")
    if over == "tracks" and _splits.SELECT in ground.split.parts:
        held = len(ground.split.parts[_splits.SELECT])
        notes.append(f"Another {held} tracks choose the epoch and the temperature, the same ones at every point.")
    last = rows[-1]["gain"] if rows else None
    if over == "tracks" and last:
        low, high = (100 * edge for edge in last["interval"])
        told = f"The last step is worth {100 * last['difference']:+.1f} points [{low:+.1f}, {high:+.1f}]: "
        more = "more music of this kind can be expected to help still."
        notes.append(told + (more if last["told_apart"] and low > 0 else "whether more would help is not told."))
    notes += _ground.adapted([row["runs"][0] for row in rows if row["runs"]])
    if seeds == 1:
        notes.append("One seed: how far chance of training moves a point is not known. --seeds 3 tells.")
    elif seeds == 2:
        notes.append("Two seeds say little of a third, so intervals are very wide: --seeds 3 or more narrows them.")
    left = sum(row["status"] == "open" for row in rows)
    if left:
        notes.append(f"{left} of {len(rows)} points are not trained yet: the same command goes on.")
    return notes


def parse_at(text: str) -> list[float]:
    """Points from text with commas."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UsageError(f"--at wants numbers with commas between, not {text!r}", hint="--at 0.1,0.25,0.5,1") from None
