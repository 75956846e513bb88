"""An acoustic fingerprint: which recordings are the same, whatever was done to the file.

Pairs of spectral peaks (Wang 2003, An industrial-strength audio search algorithm): two frequencies and the time between
them do not change with gain, with a lossy codec, with the sample rate, or with where the file begins. A file is some
sixty such landmarks a second; two files of one recording have many in common, all at one shift in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.audio import Waveform
from tonearm.audit.duplicates import Duplicate

SAMPLE_RATE = 8000  # so that a file at 8 kHz still has what a file at 48 kHz has
N_FFT, HOP_LENGTH = 1024, 256
LOWEST_BIN, HIGHEST_BIN = 13, 480  # 100 Hz to 3,750 Hz: below are hum and rumble, above the filters of resamplers
PEAK_FRAMES, PEAK_BINS = 5, 7  # a peak is the highest of so many frames and bins to each side
PEAKS_PER_SECOND = 20
FAN_OUT = 4
LONGEST_FRAMES, WIDEST_BINS = 63, 127
# What a whole collection is indexed by; a copy that begins ten minutes in is not looked for.
FINGERPRINT_SECONDS = 600.0
COMMON = 200  # landmarks that so many places have (a mains hum, a drum machine's tick) say nothing
LEAST_MATCHES = 24
# Set on real clips (unrelated ones share under 1 %) and on synthesised ones, whose drums repeat to the sample (up to
# 18 %): MP3 at 96 kbit/s leaves 80 %, a start cut between two frames 40 %, MP3 at 48 kbit/s 20 % of many.
LEAST_SHARE = 0.22
LEAST_SHARE_OF_MANY, MANY_MATCHES = 0.12, 200
LEAST_OVERLAP_SECONDS = 4.0


@dataclass(frozen=True)
class Landmarks:
    """Of one file: codes (n,) uint32 and the frames at which they begin (n,) int32, in order of time."""

    codes: np.ndarray
    frames: np.ndarray

    @property
    def seconds(self) -> float:
        return float(self.frames[-1] * HOP_LENGTH / SAMPLE_RATE) if len(self.frames) else 0.0


def landmarks(waveform: Waveform) -> Landmarks:
    """Landmarks of a waveform of any rate."""
    from tonearm import audio

    rate = waveform.sample_rate
    samples = waveform.samples[: round(FINGERPRINT_SECONDS * rate)]
    if rate != SAMPLE_RATE:
        samples = audio.resample(samples, rate, SAMPLE_RATE)
    frame, bin_ = _peaks(_spectrogram(np.ascontiguousarray(samples, np.float32)))
    return _pair(frame, bin_)


def _spectrogram(samples: np.ndarray) -> np.ndarray:
    """Log magnitude (frames, bins) between the lowest and the highest bin."""
    from tonearm.features._grid import Grid
    from tonearm.features._stft import numpy_magnitude

    grid = Grid(N_FFT, HOP_LENGTH, None, "hann", False, None, None)
    if len(samples) < N_FFT:
        return np.empty((0, HIGHEST_BIN - LOWEST_BIN), np.float32)
    magnitude = numpy_magnitude(samples, grid, len(samples))[:, LOWEST_BIN:HIGHEST_BIN]
    # Floored 60 dB under the loudest: peaks of noise below differ from one encoding to the next.
    return np.log(np.maximum(magnitude, 1e-3 * magnitude.max(initial=0.0)) + 1e-12)


def _running_max(values: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """Maximum over `reach` values to each side."""
    pad = [(0, 0), (0, 0)]
    pad[axis] = (reach, reach)
    padded = np.pad(values, pad, constant_values=-np.inf)
    size = values.shape[axis]
    result = np.take(padded, range(size), axis=axis)
    for shift in range(1, 2 * reach + 1):
        piece = padded[shift : shift + size] if axis == 0 else padded[:, shift : shift + size]
        np.maximum(result, piece, out=result)
    return result


def _peaks(spectrogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames and bins of the highest local maxima of each second, sorted by time."""
    if not len(spectrogram):
        return np.empty(0, int), np.empty(0, int)
    highest = _running_max(_running_max(spectrogram, PEAK_FRAMES, 0), PEAK_BINS, 1)
    # A plateau (digital silence, the floor) is no peak.
    frame, bin_ = np.nonzero((spectrogram == highest) & (spectrogram > spectrogram.min() + 1e-3))
    height = spectrogram[frame, bin_]
    # So many of each half second, so that a loud chorus does not take them all.
    cell = frame * HOP_LENGTH * 2 // SAMPLE_RATE
    order = np.lexsort((-height, cell))
    first = np.searchsorted(cell[order], cell[order])
    chosen = order[np.arange(len(order)) - first < PEAKS_PER_SECOND // 2]
    chosen = chosen[np.lexsort((bin_[chosen], frame[chosen]))]
    return frame[chosen], bin_[chosen]


def _pair(frame: np.ndarray, bin_: np.ndarray) -> Landmarks:
    """Join each peak with the next few that are near enough in time and frequency."""
    codes, starts = [], []
    taken = np.zeros(len(frame), int)
    for ahead in range(1, 40):
        if ahead >= len(frame):
            break
        apart, rise = frame[ahead:] - frame[:-ahead], bin_[ahead:] - bin_[:-ahead]
        good = (apart > 1) & (apart <= LONGEST_FRAMES) & (np.abs(rise) <= WIDEST_BINS) & (taken[:-ahead] < FAN_OUT)
        taken[:-ahead] += good
        codes.append(((bin_[:-ahead] << 14) | ((rise + WIDEST_BINS) << 6) | apart)[good])
        starts.append(frame[:-ahead][good])
    if not codes:
        return Landmarks(np.empty(0, np.uint32), np.empty(0, np.int32))
    code, start = np.concatenate(codes).astype(np.uint32), np.concatenate(starts).astype(np.int32)
    order = np.argsort(start, kind="stable")
    return Landmarks(code[order], start[order])


def matches(prints: Sequence[Landmarks]) -> Iterator[tuple[int, int, int, float, int]]:
    """Pairs of files with many landmarks at one shift: (a, b, matches, share of those that could match, shift).

    All landmarks are sorted by code once; those of a block of files are then looked up in it, so that time grows with
    the number of files and not with its square.
    """
    if not prints:
        return
    code = np.concatenate([p.codes for p in prints])
    frame = np.concatenate([p.frames for p in prints])
    file = np.repeat(np.arange(len(prints)), [len(p.codes) for p in prints])
    order = np.argsort(code, kind="stable")
    code, frame, file = code[order], frame[order], file[order]
    for start in range(0, len(prints), 128):
        block = range(start, min(start + 128, len(prints)))
        for a, b, count, shift in _count_block(prints, block, code, frame, file):
            possible, seconds = _overlap(prints[a], prints[b], shift)
            share = count / max(1, possible)
            enough = share >= (LEAST_SHARE if count < MANY_MATCHES else LEAST_SHARE_OF_MANY)
            if enough and seconds >= min(LEAST_OVERLAP_SECONDS, 0.8 * min(prints[a].seconds, prints[b].seconds)):
                yield a, b, count, min(1.0, share), shift


def _count_block(
    prints: Sequence[Landmarks], block: range, code: np.ndarray, frame: np.ndarray, file: np.ndarray
) -> Iterator[tuple[int, int, int, int]]:
    """Best shift of each pair of a file of the block with a later file: (a, b, landmarks in common, shift)."""
    mine = np.concatenate([prints[i].codes for i in block])
    own_frame = np.concatenate([prints[i].frames for i in block]).astype(np.int64)
    own_file = np.repeat(np.array(block), [len(prints[i].codes) for i in block])
    left, right = np.searchsorted(code, mine, "left"), np.searchsorted(code, mine, "right")
    counts = np.where(right - left <= COMMON, right - left, 0)
    which = np.repeat(np.arange(len(mine)), counts)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    there = np.repeat(left, counts) + offset
    later = file[there] > own_file[which]
    which, there = which[later], there[later]
    # One number for (a, b, shift); shifts are counted in steps of two frames, each match in two of them, so that a
    # shift between two frames is not split.
    shift = own_frame[which] - frame[there] + (1 << 20)
    pair = (own_file[which].astype(np.int64) - block.start) * len(prints) + file[there]
    keys = np.concatenate([(pair << 22) | (shift // 2), (pair << 22) | ((shift + 1) // 2) | (1 << 21)])
    keys, number = np.unique(keys, return_counts=True)
    many = number >= LEAST_MATCHES
    best: dict[int, tuple[int, int]] = {}
    for key, count in zip(keys[many].tolist(), number[many].tolist(), strict=True):
        odd = (key >> 21) & 1
        at = 2 * (key & ((1 << 21) - 1)) - odd - (1 << 20)
        if count > best.get(key >> 22, (0, 0))[0]:
            best[key >> 22] = (count, at)
    for key, (count, at) in best.items():
        yield block.start + key // len(prints), key % len(prints), count, at


def _overlap(a: Landmarks, b: Landmarks, shift: int) -> tuple[int, float]:
    """What both files have at a shift (frame in a minus frame in b): landmarks of the poorer one, and seconds."""
    start, stop = max(0, shift), min(int(a.frames[-1]), int(b.frames[-1]) + shift)
    of_a = np.searchsorted(a.frames, stop, "right") - np.searchsorted(a.frames, start)
    of_b = np.searchsorted(b.frames, stop - shift, "right") - np.searchsorted(b.frames, start - shift)
    return int(min(of_a, of_b)), (stop - start) * HOP_LENGTH / SAMPLE_RATE


def find(prints: Sequence[Landmarks], ids: Sequence[str]) -> list[Duplicate]:
    """Files of one recording, by their landmarks."""
    found = []
    for a, b, count, share, shift in matches(prints):
        seconds = shift * HOP_LENGTH / SAMPLE_RATE
        same_place = abs(seconds) < 1.0
        where = "at the same place" if same_place else f"{abs(seconds):.1f} s apart"
        found.append(
            Duplicate(
                (ids[a], ids[b]),
                "near" if same_place and share >= 0.1 else "same-recording",
                f"{count} acoustic landmarks in common, {100 * share:.0f} % of those possible, {where}",
                share,
                -seconds,
            )
        )
    return sorted(found, key=lambda duplicate: -duplicate.score)
