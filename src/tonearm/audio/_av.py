"""Reading through PyAV (ffmpeg): M4A, AAC, WMA, films. Comes with the extra `av`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tonearm.audio._sniff import Kind
from tonearm.audio._source import Opened, Window
from tonearm.audio.errors import AudioError

# Decoded before the first frame that is wanted and thrown away: AAC and its like overlap frames, and their bandwidth
# extension and bit reservoirs need some more to settle.
PREROLL_SECONDS = 0.5

# Bare streams without a clock: lengths are guesses from the bit rate, and a seek by time lands anywhere.
_CLOCKLESS = frozenset(("aac", "ac3", "dts", "mpeg", "mpegts", "amr", "mp3"))
_PROTECTED = (b"drms", b"enca", b"encv")


class _Grid(NamedTuple):
    """How the frames of a stream lie: the clock at the first, its samples, and those of every later one (0: varies)."""

    clock: int
    first: int
    size: int


def import_av(name: str, container: str) -> Any:
    """PyAV, or the error that says how to get it."""
    try:
        import av
    except ImportError:
        reason, hint = f"{container} files are read by PyAV, which is missing", 'pip install "tonearm[av]"'
        raise AudioError(name, "needs-extra", reason, hint=hint) from None
    return av


class AvReader:
    """Frames of one file, in order or after a seek, mixed to mono: the same ways as `SoundReader`."""

    def __init__(self, source: Opened, kind: Kind) -> None:
        self._source = source
        self._av = import_av(source.name, kind.container)
        self._window = Window(source.file, kind.start)
        self.container = kind.container
        self.damage = ""
        self._open()
        context = self._stream.codec_context
        if context is None or not context.sample_rate or context.codec_tag in ("drms", "enca"):
            raise self._refusal(None)
        self.codec, self.sample_rate, self.channels = context.name, context.sample_rate, context.channels
        self.position = 0
        self._pieces = self._decode(0)
        # The first frame knows the rate: that of HE-AAC can be half of the true one before anything is decoded.
        self._rest = next(self._pieces, np.empty(0, np.float32))
        self.frames = self._promised()
        self.guess = self.frames or 0
        # Containers round to their clock and count the priming that decoders drop: not every missing frame is a cut.
        self.tolerance = round(0.1 * self.sample_rate)

    def _open(self) -> None:
        self._window.seek(0)
        try:
            self._container = self._av.open(self._window, mode="r")
        except (self._av.FFmpegError, ValueError) as error:
            raise self._refusal(error) from None
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(self._source.name, "not-audio", f"there is no sound in this {self.container} file")
        self._stream = self._container.streams.audio[0]

    def _refusal(self, error: Exception | None) -> AudioError:
        """Say what is wrong with a file that is recognised but does not open."""
        name = self._source.name
        self._window.seek(0)
        head = self._window.read(1 << 20)
        if any(mark in head for mark in _PROTECTED):
            reason, hint = "it is protected against copying (DRM)", "only its shop's own player can read it"
            return AudioError(name, "unreadable", reason, hint=hint)
        if self.container == "mp4" and error is not None and b"moov" not in head:
            reason, hint = "the index at its end is missing, so nothing can be read", "copy or download it again"
            return AudioError(name, "truncated", reason, hint=hint)
        reason = getattr(error, "strerror", "") or "no decoder for its codec"
        return AudioError(name, "not-audio", f"not readable as {self.container}: {reason}")

    def _promised(self) -> int | None:
        """Frames by the container's clock; None where it only guesses."""
        if self.container in _CLOCKLESS:
            return None
        if self._stream.duration is not None:
            return round(self._stream.duration * self._stream.time_base * self.sample_rate)
        if self._container.duration is not None:
            return round(self._container.duration / 1e6 * self.sample_rate)
        return None

    def seek(self, frame: int) -> None:
        """Go to a frame. What lies before is not decoded, but for codecs whose frames vary in size."""
        if frame == self.position:
            return
        grid = self._look_at_grid()
        self._reopen()
        self._pieces, self._rest, self.position = self._decode(frame, grid), np.empty(0, np.float32), frame

    def _reopen(self) -> None:
        self._container.close()
        self._open()

    def _look_at_grid(self) -> _Grid:
        """Decode the first frames, to know where later ones lie: clocks are often coarser than a sample."""
        self._reopen()
        seen = []
        for packet in self._container.demux(self._stream):
            seen += self._frames_of(packet)
            if len(seen) >= 4:
                break
        if not seen or seen[0].pts is None or self.codec == "vorbis":
            return _Grid(0, 0, 0)
        sizes = {frame.samples for frame in seen[1:4]}
        return _Grid(seen[0].pts, seen[0].samples, sizes.pop() if len(sizes) == 1 else 0)

    def _decode(self, start: int, grid: _Grid | None = None) -> Iterator[np.ndarray]:
        """Mono blocks from frame `start` on. Damaged packets are left out, and `damage` says so."""
        begin = start - round(PREROLL_SECONDS * self.sample_rate)
        position: int | None = 0
        packets = self._container.demux(self._stream)
        if grid is not None and grid.size and begin > grid.first:
            if self.container in _CLOCKLESS:
                # Bare streams have a frame per packet: pass over those before without decoding them.
                passed = (begin - grid.first) // grid.size
                for _ in range(passed + 1):
                    next(packets, None)
                position = grid.first + passed * grid.size
            else:
                clock = grid.clock + round(begin / self.sample_rate / self._stream.time_base)
                self._container.seek(clock, stream=self._stream, backward=True)
                position = None  # the first frame says where the seek led
        for count, frame in enumerate(self._all_frames(packets)):
            if count == 0 and grid is None:
                self.sample_rate = frame.sample_rate
            if frame.sample_rate != self.sample_rate:
                reason = f"the sample rate changes from {self.sample_rate} to {frame.sample_rate} Hz within the file"
                raise AudioError(self._source.name, "not-audio", reason, hint="convert it to one rate")
            samples = _mono(frame)
            if position is None:
                position = self._snap(frame, grid)
            skip = max(0, min(len(samples), start - position))
            position += len(samples)
            if skip < len(samples):
                yield samples[skip:]

    def _snap(self, frame: Any, grid: _Grid) -> int:
        """The sample at which a frame begins, by its end: of the first frame after a seek the front may be dropped."""
        clock = (frame.pts or 0) - grid.clock
        end = clock * self._stream.time_base * self.sample_rate + frame.samples
        return grid.first + max(0, round((end - grid.first) / grid.size)) * grid.size - frame.samples

    def _all_frames(self, packets: Iterator) -> Iterator:
        try:
            for packet in packets:
                yield from self._frames_of(packet)
        except (self._av.FFmpegError, EOFError) as error:
            self._note(error)

    def _frames_of(self, packet: Any) -> list:
        try:
            return packet.decode()
        except (self._av.FFmpegError, EOFError) as error:
            self._note(error)
            return []

    def _note(self, error: Exception) -> None:
        self.damage = self.damage or f"damaged data was left out ({getattr(error, 'strerror', error)})"

    def read_into(self, out: np.ndarray) -> int:
        """Fill `out` (n,) float32 with mono samples; returns how many there were, fewer only at the end."""
        done = 0
        while done < len(out):
            if not len(self._rest):
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = piece
            count = min(len(out) - done, len(self._rest))
            out[done : done + count] = self._rest[:count]
            self._rest = self._rest[count:]
            done += count
        self.position += done
        if self._window.error is not None:
            raise AudioError(self._source.name, "unreadable", str(self._window.error))
        return done

    def close(self) -> None:
        self._container.close()


def _mono(frame: Any) -> np.ndarray:
    """One decoded frame as float32 in -1 to 1, (n,), the mean of its channels (ffmpeg's own mix is 3 dB louder)."""
    if frame.format.name.startswith("s64"):  # 64-bit WAV: PyAV decodes it but makes no array of it
        count = frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)
        data = np.stack([np.frombuffer(plane, np.int64, count) for plane in frame.planes])
    else:
        data = frame.to_ndarray()  # planar: (channels, n); packed: (1, n * channels)
    if data.dtype.kind == "u":
        data = (data.astype(np.float32) - 128) / 128
    elif data.dtype.kind == "i":
        data = data.astype(np.float32) / np.float32(2.0 ** (8 * data.dtype.itemsize - 1))
    channels = frame.layout.nb_channels
    if not frame.format.is_planar and channels > 1:
        data = data.reshape(-1, channels).T
    return data.mean(axis=0, dtype=np.float32)
