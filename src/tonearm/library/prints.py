"""Copies of one recording, whatever was done to the file: a small sketch of its acoustic landmarks per sound.

All landmarks of a minute are 30 kB. Kept are the few hundred whose codes come first in a fixed shuffle (Broder 1997, On
the resemblance and containment of documents): two songs that share half of their landmarks share about half of these.
The first dozens of them are also keys of an index, by which a new sound finds those that it may be a copy of at once,
however large the library is.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import numpy as np

from tonearm.audio import Waveform

# The beginning of a song is what copies of it have in common: read without seeking, and enough to be sure.
SECONDS = 20.0
KEPT, KEYS = 256, 24
LEAST_LANDMARKS = 48  # with fewer (silence, a held tone) there is nothing to recognise
COMMON = 200  # a key that so many sounds have (a jingle, a hum) tells nothing
CANDIDATES = 50
# As the audit has them, see tonearm.audit.fingerprint: unrelated songs share under 1 %, those that share their drums
# to the sample up to 18 %; MP3 at 96 kbit/s leaves 80 %, a start cut between two frames 40 %.
LEAST_SHARE, LEAST_MATCHES = 0.22, 12


class Match(NamedTuple):
    content_id: int
    share: float
    offset_seconds: float  # how much later the new sound begins in the recording


def of_file(path: str) -> bytes:
    """The sketch of a file's beginning."""
    from tonearm import audio

    return sketch(audio.load(path, sample_rate=8000, clip_seconds=SECONDS))


def sketch(waveform: Waveform) -> bytes:
    """The sketch of a sound's beginning; empty where there is nothing to recognise."""
    from tonearm.audit.fingerprint import landmarks

    found = landmarks(waveform)
    codes, first = np.unique(found.codes, return_index=True)
    if len(codes) < LEAST_LANDMARKS:
        return b""
    order = np.argsort(_shuffled(codes), kind="stable")[:KEPT]
    frames = np.minimum(found.frames[first[order]], 65535)
    return codes[order].astype("<u4").tobytes() + frames.astype("<u2").tobytes()


def _shuffled(codes: np.ndarray) -> np.ndarray:
    """A fixed number for each code in which neighbours are far apart: every bit moves every bit above and below."""
    mixed = codes.astype(np.uint32) * np.uint32(0x9E3779B1)
    mixed ^= mixed >> np.uint32(15)
    return mixed * np.uint32(0x85EBCA77)


def _read(stored: bytes) -> tuple[np.ndarray, np.ndarray]:
    count = len(stored) // 6
    return np.frombuffer(stored, "<u4", count), np.frombuffer(stored, "<u2", count, 4 * count).astype(np.int64)


def compare(a: bytes, b: bytes) -> tuple[int, float, int]:
    """Landmarks in common at one shift, their share of those that could be, and the shift in frames (a minus b)."""
    codes_a, frames_a = _read(a)
    codes_b, frames_b = _read(b)
    if not len(codes_a) or not len(codes_b):
        return 0, 0.0, 0
    # Only up to where both sketches reach: beyond, one of the two has kept nothing.
    order_a, order_b = _shuffled(codes_a), _shuffled(codes_b)
    reach = min(order_a.max(), order_b.max())
    in_a, in_b = order_a <= reach, order_b <= reach
    _, at_a, at_b = np.intersect1d(codes_a[in_a], codes_b[in_b], assume_unique=True, return_indices=True)
    if not len(at_a):
        return 0, 0.0, 0
    shifts = frames_a[in_a][at_a] - frames_b[in_b][at_b]
    low = shifts.min()
    counts = np.bincount(shifts - low)
    # A shift between two frames is split over both.
    counts = counts + np.append(counts[1:], 0)
    best = int(counts.argmax())
    return int(counts[best]), float(counts[best] / min(in_a.sum(), in_b.sum())), int(low) + best


def insert(connection: sqlite3.Connection, content_id: int, stored: bytes) -> None:
    """Keep the sketch of a sound, and note of which sounds that are there already it is a copy. In a transaction."""
    values = (content_id, stored)
    if not connection.execute("INSERT OR IGNORE INTO sketches VALUES (?, ?)", values).rowcount or not stored:
        return
    keys = _read(stored)[0][:KEYS].tolist()
    for match in _matches(connection, stored, keys):
        pair = (match.content_id, content_id, match.share, match.offset_seconds)
        connection.execute("INSERT OR IGNORE INTO copies VALUES (?, ?, ?, ?)", pair)
    connection.executemany("INSERT INTO sketch_keys VALUES (?, ?)", [(key, content_id) for key in keys])


def _matches(connection: sqlite3.Connection, stored: bytes, keys: list[int]) -> list[Match]:
    from tonearm.audit.fingerprint import HOP_LENGTH, SAMPLE_RATE

    votes: dict[int, int] = {}
    for key in keys:
        sql = f"SELECT content_id FROM sketch_keys WHERE key = ? LIMIT {COMMON + 1}"
        found = connection.execute(sql, (key,)).fetchall()
        for (other,) in found if len(found) <= COMMON else ():
            votes[other] = votes.get(other, 0) + 1
    likely = sorted((other for other, count in votes.items() if count > 1), key=lambda other: -votes[other])
    matches = []
    for other in likely[:CANDIDATES]:
        (there,) = connection.execute("SELECT sketch FROM sketches WHERE content_id = ?", (other,)).fetchone()
        count, share, shift = compare(there, stored)
        if count >= LEAST_MATCHES and share >= LEAST_SHARE:
            matches.append(Match(other, min(1.0, share), shift * HOP_LENGTH / SAMPLE_RATE))
    return matches
