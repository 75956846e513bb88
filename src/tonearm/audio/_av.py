"""Reading through PyAV (ffmpeg): M4A, AAC, WMA, films. Comes with the extra `av`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tonearm.audio._sniff import Kind
from tonearm.audio._source import Opened, Window
from tonearm.audio.errors import AudioError

# Decoded before the first frame that is wanted and thrown away: AAC and its like overlap frames, and their bandwidth
# extension and bit reservoirs need some more to settle.
PREROLL_SECONDS = 0.5
# Ends this near to the promised one are rounding in the container, not a cut.
END_TOLERANCE_SECONDS = 0.1

_PROTECTED = (b"drms", b"enca", b"encv", b"sinf")


def import_av(name: str, container: str):
    """PyAV, or the error that says how to get it."""
    try:
        import av
    except ImportError:
        hint = 'pip install "tonearm[av]"'
        raise AudioError(
            name, "needs-extra", f"{container} files are read by PyAV, which is missing", hint=hint
        ) from None
    return av


class AvReader:
    """Frames of one file, in order or after a seek, mixed to mono: the same ways as `SoundReader`."""

    def __init__(self, source: Opened, kind: Kind) -> None:
        self._source = source
        self._av = import_av(source.name, kind.container)
        self._window = Window(source.file, kind.start)
        self.damage = ""
        self.container = kind.container
        try:
            self._container = self._av.open(self._window, mode="r")
        except (self._av.FFmpegError, ValueError, EOFError) as error:
            raise self._refusal(error) from None
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(source.name, "not-audio", f"there is no sound in this {kind.container} file")
        self._stream = self._container.streams.audio[0]
        context = self._stream.codec_context
        if context is None or not context.sample_rate or self._is_protected():
            raise self._refusal(None)
        self.codec, self.sample_rate, self.channels = context.name, context.sample_rate, context.channels
        self.frames = self._promised()
        self.guess = self.frames or 0
        self._packets = 0
        self._first = self._stream.start_time or 0
        self._position = 0
        self._pieces = self._decode(0)
        self._rest = np.empty(0, np.float32)

    def _is_protected(self) -> bool:
        return self._stream.codec_context.codec_tag in ("drms", "enca")

    def _refusal(self, error: Exception | None) -> AudioError:
        """Say what is wrong with a file that is recognised but does not open."""
        name, container = self._source.name, self.container
        self._source.file.seek(0)
        head = self._source.file.read(1 << 20)
        if any(mark in head for mark in _PROTECTED):
            reason = "it is protected against copying (DRM)"
            return AudioError(name, "unreadable", reason, hint="only its shop's own player can read it")
        if container == "mp4" and b"moov" not in head and (error is not None):
            hint = "copy or download it again"
            return AudioError(name, "truncated", "the index at its end is missing, so nothing can be read", hint=hint)
        reason = f"not readable as {container}: {getattr(error, 'strerror', None) or 'no decoder for its codec'}"
        return AudioError(name, "not-audio", reason.lower() if error is None else reason)

    def _promised(self) -> int | None:
        """Frames by the container's clock; None where it only guesses from the bit rate (bare AAC, AC-3 …)."""
        if self.container in ("aac", "ac3", "dts", "mpeg", "mpegts", "amr", "mp3"):
            return None
        if self._stream.duration is not None:
            seconds = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration is not None:
            seconds = self._container.duration / 1e6
        else:
            return None
        return round(seconds * self.sample_rate)

    def seek(self, frame: int) -> None:
        """Go to a frame; what lies before is not decoded, and only skipped where the format has no clock."""
        if frame == self._position:
            return
        self._container.close()
        self._window.seek(0)
        self._container = self._av.open(self._window, mode="r")
        self._stream = self._container.streams.audio[0]
        self._pieces, self._rest, self._position = self._decode(frame), np.empty(0, np.float32), frame

    def _decode(self, start: int) -> Iterator[np.ndarray]:
        """Mono blocks from frame `start` on. Damaged packets are left out, and `damage` says so."""
        rate, base = self.sample_rate, self._stream.time_base
        begin = start - round(PREROLL_SECONDS * rate)
        if begin > 0 and self.frames is not None:
            self._container.seek(round(begin / rate / base) + self._first, stream=self._stream, backward=True)
        position = None
        for packet in self._packets_from(begin):
            try:
                frames = packet.decode()
            except (self._av.FFmpegError, EOFError) as error:
                self.damage = self.damage or f"damaged data was left out ({getattr(error, 'strerror', error)})"
                continue
            for frame in frames:
                samples = _mono(frame)
                if position is None:
                    position = self._index(frame.pts) if frame.pts is not None else 0
                if frame.sample_rate != rate:
                    reason = f"the sample rate changes from {rate} to {frame.sample_rate} Hz within the file"
                    raise AudioError(self._source.name, "not-audio", reason, hint="convert it to one rate")
                skip = max(0, min(len(samples), start - position))
                position += len(samples)
                if skip < len(samples):
                    yield samples[skip:]

    def _packets_from(self, begin: int) -> Iterator:
        """Packets of the stream; without a clock in the container, those before `begin` are passed over undecoded."""
        try:
            for packet in self._container.demux(self._stream):
                end = None if packet.pts is None else self._index(packet.pts + (packet.duration or 0))
                if self.frames is None and end is not None and end < begin:
                    continue
                yield packet
        except (self._av.FFmpegError, EOFError) as error:
            self.damage = self.damage or f"the file ends badly ({getattr(error, 'strerror', error)})"

    def _index(self, pts: int) -> int:
        return round((pts - self._first) * self._stream.time_base * self.sample_rate)

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
        self._position += done
        if self._window.error is not None:
            raise AudioError(self._source.name, "unreadable", str(self._window.error))
        return done

    def close(self) -> None:
        self._container.close()


def _mono(frame) -> np.ndarray:
    """One decoded frame as float32 in -1 to 1, (n,), the mean of its channels (ffmpeg's own mix is 3 dB louder)."""
    data = frame.to_ndarray()  # planar: (channels, n); packed: (1, n * channels)
    if data.dtype.kind == "u":
        data = (data.astype(np.float32) - 128) / 128
    elif data.dtype.kind == "i":
        data = data.astype(np.float32) / np.float32(2 ** (8 * data.dtype.itemsize - 1))
    channels = frame.layout.nb_channels
    if not frame.format.is_planar and channels > 1:
        data = data.reshape(-1, channels).T
    return data.mean(axis=0, dtype=np.float32)
