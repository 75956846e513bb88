"""What each leak is worth: the same quick classifier under every protocol that the data allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tonearm.audit import quick as q
from tonearm.errors import TonearmError
from tonearm.protocols import Split, make_split, registry, table_of

ORDER = ("segment", "track", "recording", "artist")
WORTH = {
    "segment": "pieces of the same track on both sides: the model recognises the very recording that it was trained on",
    "track": "copies and other cuts of one recording on both sides",
    "recording": "other songs of the same artist on both sides: the model knows the voice, the band, the studio",
}
FOLDS = 5


def inflation(
    quick: q.Quick,
    *,
    duplicates: Sequence[Sequence[str]] = (),
    repeats: int = 3,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Accuracy of the quick classifier per protocol, with 95 % intervals over tracks; one dict per protocol.

    Accuracy is of rows (segments, where there are any). Every protocol is run on the same rows with `repeats` times
    five folds; the intervals draw whole tracks.
    """
    q.need_sklearn()
    table = quick.table
    rows, draws = [], {}
    for name in _protocols(quick, duplicates):
        if progress:
            progress(f"classifier under the protocol {name}")
        right, neighbours = np.zeros(len(table.row_ids)), []
        try:
            for repeat in range(repeats):
                split = make_split(
                    table,
                    name,
                    folds=FOLDS,
                    seed=seed + repeat,
                    duplicates=duplicates if "duplicates" in registry.get(name).takes else (),
                    leaky_on_purpose=True,
                )
                correct, near = _run(quick, split, duplicates, probe=repeat == 0)
                right += correct
                neighbours += near
        except TonearmError as error:
            rows.append({"protocol": name, "skipped": error.message, "leaky": registry.get(name).leaky})
            continue
        row, draws[name] = _row(quick, name, right / repeats, neighbours, seed)
        row |= {"folds": FOLDS, "repeats": repeats, "seeds": list(range(seed, seed + repeats))}
        rows.append(row)
    _gaps(rows, draws)
    rows += _official(quick, seed)
    return rows


def _protocols(quick: q.Quick, duplicates: Sequence[Sequence[str]]) -> list[str]:
    """Those that differ on this data: no segments without segments, no recordings where each stands alone."""
    table = quick.table
    known = table.recording[table.recording != ""]
    allowed = ["track"]
    if table.has_segments:
        allowed.append("segment")
    here = set(table.ids.tolist())
    if len(np.unique(known)) < len(known) or any(len(here & set(ids)) > 1 for ids in duplicates):
        allowed.append("recording")
    if (table.artist != "").any():
        allowed.append("artist")
    return [name for name in ORDER if name in allowed]


def _run(quick: q.Quick, split: Split, duplicates: Sequence[Sequence[str]], *, probe: bool) -> tuple[np.ndarray, list]:
    """Right or wrong per row over the folds of a split, and what the nearest neighbours were."""
    labels = quick.labels
    parts = list(split.rows(quick.table).values())
    everything = np.arange(len(labels))

    def fold(i: int) -> tuple[np.ndarray, np.ndarray, dict | None]:
        test = parts[i]
        train = np.setdiff1d(everything, test)
        model = q.make_svm().fit(quick.values[train], labels[train])
        right = model.predict(quick.values[test]) == labels[test]
        return test, right, nearest(quick, train, test, duplicates) if probe else None

    correct, near = np.zeros(len(labels)), []
    for test, right, found in q.over_folds(fold, len(parts)):
        correct[test] = right
        near += [found] if found else []
    return correct, near


def nearest(
    quick: q.Quick, train: np.ndarray, test: np.ndarray, duplicates: Sequence[Sequence[str]] = ()
) -> dict[str, np.ndarray]:
    """What the nearest training row of each test row is to it: flags per row, each counted once, strongest first."""
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    table = quick.table
    scaler = StandardScaler().fit(quick.values[train])
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(scaler.transform(quick.values[train]))
    found = train[search.kneighbors(scaler.transform(quick.values[test]), return_distance=False)[:, 0]]
    own, other = table.row_track[test], table.row_track[found]
    recording = _recording_numbers(table, duplicates)
    artist = table.artist
    same_track = own == other
    same_recording = ~same_track & (recording[own] == recording[other])
    same_artist = ~same_track & ~same_recording & (artist[own] == artist[other]) & (artist[own] != "")
    return {
        "rows": test,
        "track": same_track,
        "recording": same_recording,
        "artist": same_artist,
        "right": table.genre[own] == table.genre[other],
    }


def _recording_numbers(table, duplicates: Sequence[Sequence[str]]) -> np.ndarray:
    from tonearm.protocols import group

    return group(table, ["recording"], duplicates).of_track


def _row(
    quick: q.Quick, name: str, right: np.ndarray, neighbours: list[dict], seed: int
) -> tuple[dict[str, Any], np.ndarray]:
    protocol = registry.get(name)
    table = quick.table
    per_track = np.bincount(table.row_track, minlength=len(table)).astype(float)
    sums = np.bincount(table.row_track, weights=right, minlength=len(table))
    # One seed for all protocols: the same tracks are drawn for each, so that differences are paired.
    accuracy, interval, shares = q.share_interval(sums, per_track, seed=seed)
    row = {
        "protocol": name,
        "accuracy": accuracy,
        "interval": interval,
        "n": len(table),
        "rows": len(table.row_ids),
        "leaky": protocol.leaky,
        "label": f"{name} (leaky)" if protocol.leaky else name,
        "lets_leak": protocol.lets_leak,
        "classifier": q.CLASSIFIER,
    }
    if neighbours:
        count = sum(len(found["rows"]) for found in neighbours)
        row["neighbour"] = {
            key: float(sum(found[key].sum() for found in neighbours) / count)
            for key in ("track", "recording", "artist", "right")
        }
    return row, shares


def _gaps(rows: list[dict[str, Any]], draws: dict[str, np.ndarray]) -> None:
    """What the next stricter protocol takes away, in points, with a paired interval."""
    done = [row for row in rows if "accuracy" in row]
    for row, stricter in pairwise(done):
        gap = draws[row["protocol"]] - draws[stricter["protocol"]]
        row["worth"] = {
            "points": 100 * (row["accuracy"] - stricter["accuracy"]),
            "interval": [float(100 * x) for x in np.quantile(gap, [0.025, 0.975])],
            "against": stricter["protocol"],
            "words": _words(row["protocol"], stricter["protocol"]),
        }


def _words(name: str, stricter: str) -> str:
    between = ORDER[ORDER.index(name) : ORDER.index(stricter)]
    return "; ".join(WORTH[step] for step in between)


def _official(quick: q.Quick, seed: int) -> list[dict[str, Any]]:
    """Train and test as the dataset's own split says, and once more without what leaks there."""
    table = table_of(quick.table)
    rows: list[dict[str, Any]] = []
    for name in ("official", "filtered-clean"):
        if not (table.split != "").any() or (name == "filtered-clean" and not (table.artist != "").any()):
            continue
        try:
            split = make_split(table, name)
        except TonearmError as error:
            rows.append({"protocol": name, "skipped": error.message, "leaky": False})
            continue
        part = next((p for p in ("test", "valid") if split.parts.get(p)), None)
        if not part or not split.parts.get("train"):
            continue
        if rows and rows[0].get("n") == len(split.parts[part]):  # nothing leaked: the same figure twice says nothing
            continue
        members = split.rows(table)
        labels = quick.labels
        if len(np.unique(labels[members["train"]])) < 2:
            continue
        model = q.make_svm().fit(quick.values[members["train"]], labels[members["train"]])
        right = np.zeros(len(labels))
        right[members[part]] = model.predict(quick.values[members[part]]) == labels[members[part]]
        counted = np.zeros(len(labels))
        counted[members[part]] = 1
        sums = np.bincount(table.row_track, weights=right, minlength=len(table))
        total = np.bincount(table.row_track, weights=counted, minlength=len(table))
        tested = total > 0
        accuracy, interval, _ = q.share_interval(sums[tested], total[tested], seed=seed)
        rows.append(
            {
                "protocol": name,
                "accuracy": accuracy,
                "interval": interval,
                "n": int(tested.sum()),
                "rows": len(members[part]),
                "leaky": False,
                "label": name if part == "test" else f"{name} (validation part)",
                "part": part,
                "lets_leak": registry.get(name).lets_leak,
                "classifier": q.CLASSIFIER,
                "folds": 0,
                "repeats": 1,
                "seeds": [],
            }
        )
    return rows
