"""An exact running median, fast without compiled code.

Windows next to each other share most of their values. A group of them sorts what all share once, keeps the ranks that
can still be the median of one of them, and is split in halves that share a little more each, down to single windows.
Every step is an element-wise minimum or maximum of whole rows: about 50 of them per window of 31 values, where sorting
each window would take hundreds. Adams 2021, Fast median filters using separable sorting networks.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# Values in one row of the work: so many that numpy's cost per call is small, so few that all rows stay in cache.
_ROW_VALUES = 16384


def running_median(values: np.ndarray, size: int) -> np.ndarray:
    """Median over `size` (odd) neighbours along axis 0 of (n, width) float32 >= 0; mirrored at the ends.

    The mirror repeats the last value (d c b a | a b c d | d c b a), as scipy.ndimage's `reflect` does.
    """
    n, width = values.shape
    if size == 1 or n == 0:
        return values.copy()
    group = 1 << ((size + 1) // 2).bit_length() - 1
    n_groups = -(-n // group)
    # Floats >= 0 are ordered like their bits, and comparing whole numbers needs no care for NaN: twice as fast.
    padded = np.empty((n_groups * group + size - 1, width), np.int32)
    half = size // 2
    padded[half : half + n] = np.ascontiguousarray(values, np.float32).view(np.int32)
    padded[:half] = padded[half + _mirrored(np.arange(-half, 0), n)]
    padded[half + n :] = padded[half + _mirrored(np.arange(n, len(padded) - half), n)]
    out = np.empty((n_groups, group, width), np.int32)
    step = max(1, _ROW_VALUES // width)
    for first in range(0, n_groups, step):
        last = min(first + step, n_groups)
        span = padded[first * group : last * group + size - 1]
        rows = [span[offset::group][: last - first] for offset in range(group + size - 1)]
        core = _sorted(rows[group - 1 : size])[half + 1 - group : half + 1]
        _split(rows, core, 0, group, size, out[first:last])
    return out.reshape(-1, width)[:n].view(np.float32)


def _mirrored(index: np.ndarray, n: int) -> np.ndarray:
    """Positions outside 0..n-1 folded back, the ends repeated, as often as it takes."""
    index = np.mod(index, 2 * n)
    return np.where(index < n, index, 2 * n - 1 - index)


def _split(rows: list[np.ndarray], core: list[np.ndarray], at: int, group: int, size: int, out: np.ndarray) -> None:
    """Medians of the windows at..at+group-1 from the sorted middle ranks of the values that all of them hold.

    `core` has `group` entries (those ranks that are the median of some window); it is what is left of the values in
    rows at+group-1 .. at+size-1.
    """
    if group == 1:
        out[:, at] = core[0]
        return
    half = group // 2
    for start, extra in ((at, rows[at + half - 1 : at + group - 1]), (at + half, rows[at + size : at + size + half])):
        _split(rows, _middle(core, _sorted(extra), half), start, half, size, out)


def _middle(core: list[np.ndarray], extra: list[np.ndarray], keep: int) -> list[np.ndarray]:
    """The middle `keep` ranks of two sorted lists of 2 * keep and keep rows together."""
    return [_ranked(core, extra, rank) for rank in range(keep, 2 * keep)]


def _ranked(core: list[np.ndarray], extra: list[np.ndarray], rank: int) -> np.ndarray:
    """The value at 0-based `rank` of two sorted lists: the least, over all ways to share rank + 1, of the greater."""
    least = core[rank].copy()
    for taken in range(1, len(extra) + 1):
        if taken == rank + 1:
            candidate = extra[taken - 1]
        else:
            candidate = np.maximum(core[rank - taken], extra[taken - 1])
        np.minimum(least, candidate, out=least)
    return least


def _sorted(rows: list[np.ndarray]) -> list[np.ndarray]:
    """The rows sorted element by element, least first."""
    rows = list(rows)
    for low, high in _network(len(rows)):
        rows[low], rows[high] = np.minimum(rows[low], rows[high]), np.maximum(rows[low], rows[high])
    return rows


@lru_cache(maxsize=64)
def _network(n: int) -> tuple[tuple[int, int], ...]:
    """Comparisons that sort n values: Batcher's merge exchange (Knuth 5.2.2, algorithm M)."""
    pairs = []
    power = top = 1 << max(0, (n - 1).bit_length() - 1)
    while power > 0:
        reach, rest, distance = top, 0, power
        while True:
            pairs += [(i, i + distance) for i in range(n - distance) if i & power == rest]
            if reach == power:
                break
            distance, reach, rest = reach - power, reach >> 1, power
        power >>= 1
    return tuple(pairs)
