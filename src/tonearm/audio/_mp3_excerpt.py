"""A stretch of an MP3 as a small file of its own, so that the decoder need not search for it.

On its way to a place libsndfile asks the system twice for every frame that it passes: seven milliseconds for the two
excerpts of a song, a fifth of what decoding them takes. To go from header to header in memory takes a third of that.
What is decoded is the same but for rounding (1e-7), which tests hold; wherever anything is unusual there is no such
file, and the reader goes its own way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from tonearm.audio import _mp3

# Of MPEG-1 alone, 32 kHz and more: frames of 1,152 samples, of which nine are enough to borrow from.
SAMPLES, BEFORE = 1152, 12
# A decoder believes its first frame for those that follow.
BEHIND = 3
# Nearer to the beginning of a file it is as quick to go there.
FAR_SAMPLES = 5 * 44100


class Start(NamedTuple):
    """Where the first frame with sound is, and how many samples of what it decodes to are not part of the sound."""

    offset: int
    dropped: int


def start_of(head: bytes, at: int, offset: int, frames: int) -> Start | None:
    """The start of a sound of `frames` samples by its first MPEG frame, `head[at]`, which counts; None if in doubt."""
    frame, count = _mp3.parse_frame(head, at), _mp3.read_count(head, at)
    gaps = _mp3.read_gaps(head, at)
    if frame is None or count is None or frame.samples != SAMPLES or gaps is None:
        return None
    # The decoder's own length tells whether it leaves out the same.
    return Start(offset + frame.size, gaps[0]) if frames == count.samples - sum(gaps) else None


class Piece(NamedTuple):
    """An MP3, and how many samples of what it decodes to come before the stretch that was asked for."""

    data: bytes
    skip: int


class Pieces:
    """Stretches of one open file."""

    def __init__(self, file: BinaryIO, start: Start) -> None:
        self._file, self._dropped = file, start.dropped
        self._walk = _mp3.Walk(file, start.offset)

    def of(self, first: int, count: int) -> Piece | None:
        """What decodes to samples [first, first + count), of a sound that goes on behind them."""
        if first < FAR_SAMPLES:
            return None
        number = (first + self._dropped) // SAMPLES - BEFORE
        stop = -(-(first + self._dropped + count) // SAMPLES) + BEHIND
        begin, end = self._walk.offset_of(number), self._walk.offset_of(stop)
        if begin is None or end is None:
            return None
        self._file.seek(begin)
        data = self._file.read(end - begin)
        if len(data) < end - begin:
            return None
        # Without a count libsndfile guesses one by the first frame, and reads no further. With one that names no
        # encoder it leaves out the delay of a decoder alone.
        header = _mp3.write_count(data[:4], stop - number, len(data))
        return Piece(header + data, first + self._dropped - number * SAMPLES - _mp3.DELAY)


HERE = hasattr(os, "memfd_create")


@contextmanager
def in_memory(data: bytes) -> Iterator[int]:
    """The descriptor of a file with these bytes that is on no disk."""
    descriptor = os.memfd_create("tonearm")
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
