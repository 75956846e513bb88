"""The quick classifier of the audit: the same small model for every protocol, so that only the split differs.

It needs scikit-learn (the extra `audit`), which is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tonearm.audit.listen import statistics
from tonearm.errors import TonearmError
from tonearm.packs import Pack
from tonearm.protocols import TrackTable, group

SEGMENTS = 3
MOST_COLUMNS = 2048
LEAST_FRAMES = 96  # for cutting a track into segments: with less there is nothing to tell them apart by
CLASSIFIER = "SVM (RBF, C = 10) on standardised features"


@dataclass(frozen=True)
class Quick:
    """Numbers for the classifier: `values` (rows, columns), rows as in `table`, which may be segments of its tracks."""

    table: TrackTable
    values: np.ndarray
    what: str

    @property
    def labels(self) -> np.ndarray:
        return self.table.genre[self.table.row_track]


def need_sklearn() -> None:
    """Say what is missing, and the command that adds it, before any work is done."""
    from importlib.util import find_spec

    if find_spec("sklearn") is None:
        raise TonearmError(
            "scikit-learn is not installed, and this part of the audit trains classifiers",
            hint='pip install "tonearm[audit]"',
            code="needs-extra",
        )


def from_pack(
    pack: Pack,
    table: TrackTable,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    whole: bool = False,
) -> Quick:
    """Rows of a pack as vectors: as they are, or statistics of spectra, each track cut into three segments.

    `change` is applied to blocks of spectra (rows, bands, frames) before; with `whole` no track is cut.
    """
    features = pack.features
    if features.ndim != 3 or features.shape[1] < 2:
        what = "the pack's own columns" if features.ndim == 2 else "the pack's own values, flattened"
        return Quick(table, _narrow(features), what)
    cut = not whole and not table.has_segments and features.shape[2] >= LEAST_FRAMES
    edges = np.linspace(0, features.shape[2], (SEGMENTS if cut else 1) + 1).astype(int)
    rate = features.shape[2] / float(pack.feature_config.get("clip_seconds") or 30.0)
    blocks = []
    for start in range(0, len(features), 128):
        block = np.asarray(features[start : start + 128], np.float32)
        block = change(block) if change else block
        blocks.append(np.stack([statistics(block[:, :, a:b], rate) for a, b in pairwise(edges)], axis=1))
    values = np.concatenate(blocks)
    if cut:
        return from_segments(table, values, f"statistics of the spectra of {SEGMENTS} segments per track")
    return Quick(table, values[:, 0].astype(np.float32), "statistics of the spectra")


def _narrow(features: np.ndarray) -> np.ndarray:
    """Rows as vectors of at most MOST_COLUMNS values: means of neighbours, where there are more (raw sound, say)."""
    width = int(np.prod(features.shape[1:]))
    edges = np.unique(np.linspace(0, width, min(width, MOST_COLUMNS) + 1).astype(int))
    result = np.empty((len(features), len(edges) - 1), np.float32)
    for start in range(0, len(features), 256):
        block = np.asarray(features[start : start + 256], np.float32).reshape(-1, width)
        if len(edges) - 1 < width:
            block = np.add.reduceat(block, edges[:-1], axis=1) / np.diff(edges)
        result[start : start + 256] = block
    return result


def from_segments(table: TrackTable, values: np.ndarray, what: str) -> Quick:
    """Segments per track (tracks, segments, columns) as rows, with ids like track#0."""
    tracks, segments = values.shape[:2]
    row_ids = np.array([f"{track}#{i}" for track in table.ids.tolist() for i in range(segments)], dtype=np.str_)
    rows = replace(table, row_ids=row_ids, row_track=np.repeat(np.arange(tracks), segments))
    return Quick(rows, values.reshape(tracks * segments, -1).astype(np.float32), what)


def usable(quick: Quick, *, least_per_genre: int = 2, drop_columns: bool = True) -> Quick:
    """Without tracks that have no genre or of whose genre there are fewer than two, and without broken columns."""
    table = quick.table
    genres, counts = np.unique(table.genre, return_counts=True)
    kept = np.isin(table.genre, genres[(counts >= least_per_genre) & (genres != "")])
    finite = np.isfinite(quick.values)
    # A column that is broken in many rows is dropped, a row that is broken in a good column is.
    columns = np.ones(finite.shape[1], bool)
    if drop_columns and len(finite):
        columns = finite.mean(axis=0) > 0.9
        filled = np.where(finite, quick.values, quick.values[finite].mean() if finite.any() else 0.0)
        columns &= np.ptp(filled, axis=0) > 0
    broken = np.unique(table.row_track[~finite[:, columns].all(axis=1)])
    kept[broken] = False
    return subset(replace(quick, values=quick.values[:, columns]), np.flatnonzero(kept))


def subset_table(table: TrackTable, tracks: np.ndarray) -> TrackTable:
    """Some of the tracks with all their rows."""
    place = np.full(len(table), -1)
    place[tracks] = np.arange(len(tracks))
    rows = place[table.row_track] >= 0
    return TrackTable(
        name=table.name,
        ids=table.ids[tracks],
        genre=table.genre[tracks],
        split=table.split[tracks],
        artist=table.artist[tracks],
        recording=table.recording[tracks],
        row_ids=table.row_ids[rows],
        row_track=place[table.row_track[rows]],
        extra={name: values[tracks] for name, values in table.extra.items()},
    )


def subset(quick: Quick, tracks: np.ndarray) -> Quick:
    """Some of the tracks (ascending indices) with their values."""
    rows = np.isin(quick.table.row_track, tracks)
    return Quick(subset_table(quick.table, tracks), quick.values[rows], quick.what)


def at_most(quick: Quick, rows: int, *, seed: int = 0) -> Quick:
    """A sample of whole artists (so that what leaks by artist stays in it) with at most so many rows."""
    table = quick.table
    if len(table.row_ids) <= rows:
        return quick
    groups = group(table, ["artist", "recording"]).of_track
    per_track = np.bincount(table.row_track, minlength=len(table))
    order = np.random.default_rng(seed).permutation(groups.max() + 1)
    size = np.bincount(groups, weights=per_track)[order]
    chosen = order[np.cumsum(size) <= rows]
    return subset(quick, np.flatnonzero(np.isin(groups, chosen)))


def make_svm() -> object:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(C=10.0))


def make_logistic() -> object:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))


def make_discriminant() -> object:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))


def over_folds(work: Callable[[int], object], count: int) -> list:
    """Fold by fold on a few threads: scikit-learn lets go of Python's lock while it fits."""
    from concurrent.futures import ThreadPoolExecutor

    from tonearm.engines.local import default_workers

    with ThreadPoolExecutor(min(count, default_workers())) as pool:
        return list(pool.map(work, range(count)))


def share_interval(
    right: np.ndarray, rows: np.ndarray, *, draws: int = 2000, seed: int = 0
) -> tuple[float, list[float], np.ndarray]:
    """Share of right rows, its 95 % interval by the bootstrap over tracks, and the draws themselves.

    `right` and `rows` are sums per track, (tracks,): rows of one track hang together, so tracks are drawn, not rows.
    """
    if not rows.sum():
        return float("nan"), [float("nan")] * 2, np.full(draws, np.nan)
    random = np.random.default_rng(seed)
    n = len(rows)
    shares = np.empty(draws)
    for start in range(0, draws, 200):
        weight = random.multinomial(n, np.full(n, 1 / n), min(200, draws - start))
        shares[start : start + len(weight)] = (weight @ right) / np.maximum(weight @ rows, 1e-9)
    share = float(right.sum() / rows.sum())
    low, high = np.quantile(shares, [0.025, 0.975])
    if low == high:
        # Where every track has the same share (all right, all wrong) drawing again changes nothing, and yet one more
        # track might: Wilson's interval.
        z = 1.96
        middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    return share, [min(share, max(0.0, float(low))), max(share, min(1.0, float(high)))], shares
