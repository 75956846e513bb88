"""Recordings that occur twice in a pack of spectra, also where the two excerpts begin at different times.

All pairs are compared at all shifts, by cross-correlation in the frequency domain, on a small picture of each track
(16 bands, about 130 frames); what looks alike is compared once more in full. 10,000 tracks take about a minute and a
half on two cores.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tonearm.audit.duplicates import Duplicate

# Seconds of the moving mean that is taken away: what is left are onsets and notes, not the colour of the sound, which
# all songs of an album share.
LOCAL_SECONDS = 2.0
CLIP_SECONDS = 30.0  # where the pack does not say
LEAST_OVERLAP = 0.5
SAME_PLACE_SECONDS = 1.0
# With few frames a second the beats of two songs fall together at some shift: on FMA (4 frames a second) pairs by
# artists who have nothing to do with each other reach 0.55 that way, and none does at the same place.
COARSE_SECONDS, MORE_IF_SHIFTED = 0.15, 1.2
SAMPLE = 500  # tracks from which it is learned how alike unrelated music is
PAIRS_AT_ONCE = 500


def alike(
    features: np.ndarray,
    members: np.ndarray,
    ids: np.ndarray,
    *,
    seconds: float | None = None,
    level: bool = True,
) -> list[Duplicate]:
    """Pairs of one recording among the rows `members` of (rows, bands, frames).

    `level` says that all bands are levels in one unit; rows of other features (cepstra) are first brought to one scale.
    """
    # What does not move (silence, a constant tone) correlates with nothing.
    members = np.array([i for i in members if features[i].std() > 0], dtype=int)
    if len(members) < 2:
        return []
    frames = features.shape[2]
    frame_seconds = (seconds or CLIP_SECONDS) / frames
    scale = None if level else _spread(features, members)
    small, step = pictures(features, members, bands=16, most_frames=130, scale=scale)
    small = whiten(small, max(3, round(LOCAL_SECONDS / (frame_seconds * step))))
    candidates = _candidates(small, most=4)
    if not len(candidates):
        return []
    window = max(3, round(LOCAL_SECONDS / frame_seconds))

    def in_full(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _prepare(whiten(pictures(features, rows, bands=32, most_frames=frames, scale=scale)[0], window))

    some = np.random.default_rng(0).permutation(members)[:SAMPLE]
    threshold = _threshold(*in_full(some))
    found = []
    # In full a track is a megabyte: so many pairs at a time, so that memory does not grow with the collection.
    for start in range(0, len(candidates), PAIRS_AT_ONCE):
        used, place = np.unique(candidates[start : start + PAIRS_AT_ONCE], return_inverse=True)
        rows = members[used]
        spectra, energy = in_full(rows)
        for a, b in place.reshape(-1, 2):
            score, shift = _best_shift(spectra[a], energy[a], spectra[b], energy[b])
            shifted = abs(shift * frame_seconds) >= SAME_PLACE_SECONDS
            if score >= threshold * (MORE_IF_SHIFTED if shifted and frame_seconds > COARSE_SECONDS else 1):
                found.append(_duplicate(ids[rows[a]], ids[rows[b]], score, shift * frame_seconds))
    return sorted(found, key=lambda duplicate: -duplicate.score)


def _duplicate(a: str, b: str, score: float, seconds: float) -> Duplicate:
    same_place = abs(seconds) < SAME_PLACE_SECONDS
    where = "at the same place" if same_place else f"{abs(seconds):.1f} s apart"
    kind = "near" if same_place and score >= 0.6 else "same-recording"
    # The sound of b at time t is that of a at t + shift: a begins that much earlier in the recording.
    return Duplicate((str(a), str(b)), kind, f"spectra correlate at {score:.2f}, {where}", min(1.0, score), -seconds)


def _spread(features: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Standard deviation of each band over time, from some of the rows: (bands, 1)."""
    some = np.asarray(features[members[:: max(1, len(members) // 200)]], np.float32)
    return np.maximum(np.nan_to_num(some).std(axis=2).mean(axis=0), 1e-6)[:, None]


def pictures(
    features: np.ndarray, members: np.ndarray, *, bands: int, most_frames: int, scale: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """Rows with fewer bands and frames, by means: float32 (rows, bands, frames), and how many frames went into one."""
    n_bands, frames = features.shape[1:]
    bands = min(bands, n_bands)
    step = max(1, -(-frames // most_frames))
    edges = np.linspace(0, n_bands, bands + 1).astype(int)[:-1]
    used = frames // step * step
    result = np.empty((len(members), bands, used // step), np.float32)
    for start in range(0, len(members), 256):
        rows = np.nan_to_num(features[members[start : start + 256]].astype(np.float32), posinf=0.0, neginf=0.0)
        rows = rows if scale is None else rows / scale
        rows = rows[:, :, :used].reshape(len(rows), n_bands, -1, step).mean(axis=3)
        widths = np.diff(np.append(edges, n_bands))
        result[start : start + 256] = np.add.reduceat(rows, edges, axis=1) / widths[:, None]
    return result, step


def whiten(values: np.ndarray, window: int) -> np.ndarray:
    """Take away the moving mean in time and the mean over bands, then scale each row to length one."""
    before = window // 2
    padded = np.pad(values, ((0, 0), (0, 0), (before + 1, window - before - 1)), mode="edge")
    for start in range(0, len(values), 256):
        sums = np.cumsum(padded[start : start + 256], axis=2, dtype=np.float64)
        block = values[start : start + 256] - (sums[:, :, window:] - sums[:, :, :-window]) / window
        block -= block.mean(axis=1, keepdims=True)
        length = np.sqrt(np.einsum("ijk,ijk->i", block, block))
        values[start : start + 256] = block / np.maximum(length, 1e-9)[:, None, None]
    return values


def _prepare(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectra over time (rows, bands, frequencies), and the energy up to each frame (rows, frames + 1)."""
    frames = values.shape[2]
    size = 1 << int(np.ceil(np.log2(frames * (2 - LEAST_OVERLAP))))
    spectra = np.fft.rfft(values, size, axis=2).astype(np.complex64)
    energy = np.zeros((len(values), frames + 1), np.float32)
    np.cumsum(np.einsum("ijk,ijk->ik", values, values), axis=1, out=energy[:, 1:])
    return spectra, energy


def _shifts(frames: int) -> np.ndarray:
    most = int(frames * (1 - LEAST_OVERLAP))
    return np.r_[0 : most + 1, -most:0]


def _norms(energy: np.ndarray, shifts: np.ndarray, *, first: bool) -> np.ndarray:
    """1 / length of the stretch of each row that overlaps at each shift: (shifts, rows)."""
    frames = energy.shape[1] - 1
    ahead = shifts if first else -shifts
    start, stop = np.maximum(ahead, 0), frames + np.minimum(ahead, 0)
    # A stretch in which almost nothing happens would make a correlation of noise.
    return (1 / np.sqrt(np.maximum(energy[:, stop] - energy[:, start], 0.2))).T


def _scores(product: np.ndarray, frames: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlations at all shifts from spectra summed over bands: (frequencies, ...) to (shifts, ...).

    Times the root of the overlap: half the evidence has a wider spread of chance, and must not win by it.
    """
    size = 2 * (len(product) - 1)
    shifts = _shifts(frames)
    scores = np.fft.irfft(product, size, axis=0)[shifts]
    overlap = np.sqrt(1 - np.abs(shifts) / frames).astype(np.float32)
    scores *= overlap.reshape(-1, *[1] * (scores.ndim - 1))
    scores *= one
    scores *= other
    return scores


def _best_shift(a: np.ndarray, energy_a: np.ndarray, b: np.ndarray, energy_b: np.ndarray) -> tuple[float, int]:
    frames = len(energy_a) - 1
    shifts = _shifts(frames)
    product = np.einsum("ij,ij->j", a, b.conj())
    one, other = _norms(energy_a[None], shifts, first=True)[:, 0], _norms(energy_b[None], shifts, first=False)[:, 0]
    scores = _scores(product, frames, one, other)
    best = int(scores.argmax())
    return float(scores[best]), int(shifts[best])


def _all_pairs(values: np.ndarray, block: int = 24) -> Iterator[tuple[int, np.ndarray]]:
    """Best score of each pair over all shifts: (first row, array (rows of the block, all rows from the first on))."""
    spectra, energy = _prepare(values)
    frames = values.shape[2]
    shifts = _shifts(frames)
    by_frequency = np.ascontiguousarray(spectra.transpose(2, 0, 1))
    del spectra
    conjugate = np.ascontiguousarray(by_frequency.conj().transpose(0, 2, 1))
    one, other = _norms(energy, shifts, first=True), _norms(energy, shifts, first=False)
    for start in range(0, len(values), block):
        product = np.matmul(by_frequency[:, start : start + block], conjugate[:, :, start:])
        scores = _scores(product, frames, one[:, start : start + block, None], other[:, None, start:])
        yield start, scores.max(axis=0)


def _candidates(values: np.ndarray, most: int) -> np.ndarray:
    """Pairs (i, j), i < j, that are among the `most` best of either: int array (pairs, 2)."""
    n = len(values)
    best = np.full((n, most), -1.0, np.float32)
    who = np.full((n, most), -1)

    def offer(rows: slice, scores: np.ndarray, columns: np.ndarray) -> None:
        joined = np.concatenate([best[rows], scores], axis=1)
        names = np.concatenate([who[rows], columns], axis=1)
        top = np.argpartition(-joined, most - 1, axis=1)[:, :most]
        best[rows] = np.take_along_axis(joined, top, axis=1)
        who[rows] = np.take_along_axis(names, top, axis=1)

    for start, scores in _all_pairs(values):
        rows = len(scores)
        # Of each pair the block sees (i, j) with j behind the block's first row; the pair itself only once.
        scores[np.tril_indices(rows, m=scores.shape[1])] = -1.0
        columns = np.arange(start, n)
        offer(slice(start, start + rows), scores, np.broadcast_to(columns, scores.shape))
        back = np.broadcast_to(np.arange(start, start + rows), (n - start, rows))
        offer(slice(start, n), scores.T, back)
    i = np.repeat(np.arange(n), most)
    j, score = who.ravel(), best.ravel()
    real = (j >= 0) & (score > 0.1)
    pairs = np.sort(np.stack([i[real], j[real]], axis=1), axis=1)
    return np.unique(pairs, axis=0) if len(pairs) else pairs.reshape(0, 2)


def _threshold(spectra: np.ndarray, energy: np.ndarray, pairs: int = 4000) -> float:
    """How alike two tracks must be: far outside of what pairs drawn at random are.

    From the median and the upper tenth, so that the duplicates among the pairs do not move it. Set on GTZAN and FMA:
    the lowest value at which every pair found in GTZAN is in Sturm's list of repetitions.
    """
    random = np.random.default_rng(0)
    n = len(spectra)
    drawn = random.integers(0, n, (min(pairs, n * n), 2))
    drawn = drawn[drawn[:, 0] != drawn[:, 1]]
    scores = [_best_shift(spectra[a], energy[a], spectra[b], energy[b])[0] for a, b in drawn]
    if not scores:
        return 0.5
    middle, high = np.quantile(scores, [0.5, 0.9])
    return float(np.clip(middle + 12.5 * (high - middle), 0.3, 0.9))
