"""Which tracks are the same: equal content, the same stretch of one recording, or another stretch of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm.packs import Pack
from tonearm.protocols import TrackTable

KINDS = {
    "exact": "bit for bit the same content",
    "near": "the same stretch of one recording, encoded or processed in another way",
    "same-recording": "another stretch, cut or mix of one recording",
}


@dataclass(frozen=True)
class Duplicate:
    """Tracks that are one. `score` is 1 for the same and falls with the likeness; `offset_seconds` is how much later
    the first of them begins in the recording, where that is known.
    """

    ids: tuple[str, ...]
    kind: str
    evidence: str
    score: float
    offset_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        known = {} if self.offset_seconds is None else {"offset_seconds": round(self.offset_seconds, 2)}
        return {
            "ids": list(self.ids),
            "kind": self.kind,
            "evidence": self.evidence,
            "score": round(self.score, 4),
            **known,
        }


def in_pack(pack: Pack, table: TrackTable) -> list[Duplicate]:
    """Duplicates by what a pack holds: equal rows, then likeness of arrays of frames or of vectors."""
    exact = exact_in_pack(pack, table)
    features = pack.features
    # One of each set of equal tracks goes on: the others would only repeat what is found for it.
    keep = np.ones(len(table), bool)
    place = {track: i for i, track in enumerate(table.ids.tolist())}
    for found in exact:
        keep[[place[track] for track in found.ids[1:]]] = False
    members = np.flatnonzero(keep)
    if features.ndim == 3 and features.shape[1] >= LEAST_BANDS and features.shape[2] >= 32 and not table.has_segments:
        from tonearm.audit.shifts import alike

        near = alike(features, members, table.ids, seconds=_seconds(pack), level=_is_level(pack))
    else:
        from tonearm.audit.quick import from_pack

        near = alike_vectors(track_means(from_pack(pack, table, whole=True).values, table), members, table.ids)
    return exact + near


def _is_level(pack: Pack) -> bool:
    """Whether bands are levels in one unit (dB), so that they can be added up as they are."""
    return pack.feature_config.get("kind") == "logmel"


def _seconds(pack: Pack) -> float | None:
    """Length of a clip of the pack, if its feature tells."""
    value = pack.feature_config.get("clip_seconds")
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def exact_in_pack(pack: Pack, table: TrackTable) -> list[Duplicate]:
    """Tracks all of whose rows are bit for bit those of another. Rows of one value (silence) are no evidence."""
    digests = [hashlib.blake2b(digest_size=16) for _ in range(len(table))]
    lively = np.zeros(len(table), bool)
    for row, values in zip(table.row_track, pack.features, strict=True):
        digests[row].update(np.ascontiguousarray(values).tobytes())
        lively[row] |= bool((values != values.flat[0]).any())
    return same_digests(
        {track: d.hexdigest() for track, d, live in zip(table.ids.tolist(), digests, lively, strict=True) if live},
        "the arrays are equal bit for bit",
    )


def same_digests(digests: dict[str, str], evidence: str) -> list[Duplicate]:
    """Sets of ids with equal digests, in the order of the ids."""
    members: dict[str, list[str]] = {}
    for track, digest in digests.items():
        members.setdefault(digest, []).append(track)
    return [Duplicate(tuple(ids), "exact", evidence, 1.0) for ids in members.values() if len(ids) > 1]


def track_means(features: np.ndarray, table: TrackTable) -> np.ndarray:
    """Vectors per track, float64: the mean of its rows. Shape (tracks, columns)."""
    values = np.asarray(features, dtype=np.float64)
    if not table.has_segments:
        return values
    sums = np.zeros((len(table), values.shape[1]))
    np.add.at(sums, table.row_track, values)
    return sums / np.bincount(table.row_track, minlength=len(table))[:, None]


# A pair is a duplicate when it is this much closer than a track and its nearest neighbour usually are. On GTZAN's 57
# statistics and on FMA's VGGish vectors all pairs below 0.45 are one recording, by its name or by the repetitions
# that Sturm (2013) lists; the first two songs that are only alike (same album) come at 0.46.
CLOSE = 0.4
# The same in columns that are only scaled; there the first two songs of GTZAN that are only alike come at 0.37.
CLOSE_SCALED = 0.3
FEW_TRACKS = 20
LEAST_BANDS = 8  # with fewer there is no picture to compare, only a curve


def alike_vectors(vectors: np.ndarray, members: np.ndarray, ids: np.ndarray) -> list[Duplicate]:
    """Pairs of tracks whose vectors are far closer than nearest neighbours usually are.

    Two spaces, either is enough. In one, columns are turned into ranks, so that no scale and no outlier counts, then
    whitened, so that twenty columns that say the same thing count once. But where many tracks share a value (a column
    that saturates) a little noise moves a rank far; so in the other, columns are only scaled and outliers cut off.
    Copies with noise of a tenth of each column's deviation are all found there, on both packs.
    """
    values = np.asarray(vectors[members], np.float64)
    # What is broken or silent is told by the integrity check; it is no evidence here, and must not spoil columns.
    whole = np.isfinite(values).all(axis=1) & (values != values[:, :1]).any(axis=1)
    members, values = members[whole], values[whole]
    lively = (values != values[:1]).any(axis=1) if len(values) else np.empty(0, bool)
    if len(members) < FEW_TRACKS or not lively.any():
        return []
    found: dict[tuple[int, int], float] = {}
    for space, ratio in ((_whitened(values), CLOSE), (_scaled(values), CLOSE_SCALED)):
        nearest, pairs = _close_pairs(space, ratio)
        for i, j, d in pairs if nearest > 0 else []:
            found[i, j] = min(d, found.get((i, j), d))
    return [
        Duplicate(
            (str(ids[members[i]]), str(ids[members[j]])),
            "near",
            f"distance of the features is {100 * d:.0f} % of what nearest neighbours usually have",
            float(1 - d),
        )
        for (i, j), d in sorted(found.items(), key=lambda item: item[1])
    ]


def _scaled(values: np.ndarray) -> np.ndarray:
    space = values - np.median(values, axis=0)
    deviation = values.std(axis=0)
    varies = deviation > 1e-9 * np.abs(values).max(axis=0)
    return np.clip(space[:, varies] / deviation[varies], -4, 4).astype(np.float32)


def _whitened(values: np.ndarray) -> np.ndarray:
    from statistics import NormalDist

    n = len(values)
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n)])
    space = np.empty(values.shape)
    for column in range(values.shape[1]):
        _, inverse, counts = np.unique(values[:, column], return_inverse=True, return_counts=True)
        # Equal values get equal ranks (the middle of theirs): two copies must not be torn apart by a tie.
        middle = np.cumsum(counts) - (counts + 1) / 2
        space[:, column] = np.interp(middle[inverse], np.arange(n), quantiles)
    space = space[:, space.std(axis=0) > 1e-9]
    space -= space.mean(axis=0)
    if n < 3 * space.shape[1]:  # too few tracks to know how the columns hang together
        return space.astype(np.float32)
    spread, axes = np.linalg.eigh(space.T @ space / n)
    useful = spread > 1e-6 * spread[-1]
    return (space @ axes[:, useful] / np.sqrt(spread[useful])).astype(np.float32)


def _close_pairs(space: np.ndarray, ratio: float) -> tuple[float, list[tuple[int, int, float]]]:
    """Median distance to the nearest neighbour, and pairs below `ratio` of it: (i, j, distance / median)."""
    squares = np.einsum("ij,ij->i", space, space)
    nearest = np.empty(len(space), np.float32)
    blocks = []
    for start in range(0, len(space), 1024):
        block = space[start : start + 1024]
        distance = squares[start : start + 1024, None] + squares - 2 * block @ space.T
        distance[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        np.maximum(distance, 0, out=distance)
        nearest[start : start + 1024] = distance.min(axis=1)
        blocks.append(distance.argpartition(min(8, len(space) - 1), axis=1)[:, :8])
    median = float(np.sqrt(np.median(nearest)))
    near = np.concatenate(blocks)
    found: dict[tuple[int, int], float] = {}
    for i, others in enumerate(near):
        for j in others:
            # Exactly, because what is left of two equal vectors in the formula above is rounding.
            d = float(np.linalg.norm(space[i] - space[j]))
            if i != j and d <= ratio * median:
                found[(min(i, int(j)), max(i, int(j)))] = d / median if median else 0.0
    return median, sorted(((i, j, d) for (i, j), d in found.items()), key=lambda pair: pair[2])


def sets(duplicates: Iterable[Duplicate]) -> list[tuple[str, ...]]:
    """Ids that are one recording, joined over all evidence: what `make_split(duplicates=...)` takes."""
    parent: dict[str, str] = {}

    def root(track: str) -> str:
        while parent.setdefault(track, track) != track:
            parent[track] = parent[parent[track]]
            track = parent[track]
        return track

    for duplicate in duplicates:
        for other in duplicate.ids[1:]:
            parent[root(other)] = root(duplicate.ids[0])
    members: dict[str, list[str]] = {}
    for track in parent:
        members.setdefault(root(track), []).append(track)
    return [tuple(sorted(ids)) for ids in members.values()]


def without_known(duplicates: Sequence[Duplicate], table: TrackTable) -> Iterator[Duplicate]:
    """Those that the column `recording` does not tell already."""
    recording = dict(zip(table.ids.tolist(), table.recording.tolist(), strict=True))
    for duplicate in duplicates:
        names = {recording[track] for track in duplicate.ids}
        if len(names) > 1 or "" in names:
            yield duplicate
