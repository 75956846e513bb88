"""The three ways to a waveform: whole or an excerpt, in blocks, or only what the header says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tonearm.audio._resample import StreamResampler, resample
from tonearm.audio._sniff import Kind, sniff
from tonearm.audio._source import CREDIBLE_FRAMES, Opened, Source, name_of, opened
from tonearm.audio.errors import AudioError
from tonearm.audio.waveform import Waveform
from tonearm.errors import UsageError

# What a header claims is believed up to this many samples at once (256 MB); beyond, memory grows as sound is found.
_BELIEVED = 1 << 26
# What headers may say. Beyond, resampling would fill any memory because of one damaged byte.
_RATES = range(1000, 1_000_001)
# Of the lower of both rates, on each side of an excerpt: the resampler's filter reaches some 100 samples.
_CONTEXT_SAMPLES = 512


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a file says about itself: `container` (wav, mp3, mp4 …) by content, `codec`, and its size in time."""

    container: str
    codec: str
    sample_rate: int
    channels: int
    seconds: float


@contextmanager
def _reader(source: Source) -> Iterator:
    with opened(source) as file:
        try:
            reader = _open_reader(file)
        except OSError as error:  # the disk, not the content
            raise AudioError(file.name, "unreadable", error.strerror or str(error)) from None
        try:
            if reader.sample_rate not in _RATES:
                reason = f"the header says {reader.sample_rate} samples per second, which no sound has"
                raise AudioError(file.name, "not-audio", reason, hint="it may be damaged: convert it, or get it again")
            yield reader
        finally:
            reader.close()


def _open_reader(file: Opened):
    kind = sniff(file.file)
    if kind is None:
        hint = "if it is music, it may be damaged: play it, or convert it to FLAC"
        raise AudioError(file.name, "not-audio", "the content is not audio that any reader here knows", hint=hint)
    from tonearm.audio._av import AvReader

    if kind.reader == "av":
        return AvReader(file, kind)
    from tonearm.audio._sound import SoundReader

    try:
        return SoundReader(file, kind)
    except AudioError as error:
        if error.code != "not-audio":
            raise
        return _second_opinion(AvReader, file, kind, error)


def _second_opinion(reader: type, file: Opened, kind: Kind, refusal: AudioError):
    """A container that libsndfile knows with a codec that it does not, such as MP3 in WAV, may be read by PyAV."""
    try:
        return reader(file, kind)
    except AudioError as error:
        if error.code == "needs-extra":
            refusal = AudioError(file.name, refusal.code, refusal.reason, hint=f"perhaps PyAV reads it: {error.hint}")
        raise refusal from None


class Sound:
    """A file that is open: what it says of itself, and any number of excerpts without opening it again."""

    def __init__(self, name: str, reader) -> None:
        self.name, self._reader = name, reader

    @cached_property
    def info(self) -> AudioInfo:
        """Container, codec, rate, channels and length, from the header as far as it says them."""
        reader = self._reader
        frames = reader.frames
        if frames is None:
            frames = reader.guess if 0 < reader.guess < CREDIBLE_FRAMES else _count(reader)
        return AudioInfo(
            reader.container, reader.codec, reader.sample_rate, reader.channels, frames / reader.sample_rate
        )

    def load(
        self,
        *,
        sample_rate: int | None = None,
        start_seconds: float = 0.0,
        clip_seconds: float | None = None,
        min_seconds: float = 0.0,
    ) -> Waveform:
        """An excerpt, as `audio.load` gives it; quickest in the order of the file."""
        _check(sample_rate, start_seconds, clip_seconds)
        reader = self._reader
        rate = reader.sample_rate
        to_rate = int(sample_rate or rate)
        start = round(start_seconds * to_rate)
        length = None if clip_seconds is None else round(clip_seconds * to_rate)
        first, stop = _input_window(start, length, rate, to_rate)
        samples, at_end = None, None
        if stop is not None and hasattr(reader, "excerpt"):  # a reader may know a quicker way
            samples = reader.excerpt(first, stop - first)
        if samples is None:
            reader.seek(first)
            samples, at_end = _read(reader, None if stop is None else stop - first)
        samples = resample(samples, rate, to_rate)
        skip = start - first * to_rate // rate
        samples = samples[skip : None if length is None else skip + length]
        warnings = _warnings(reader, first + at_end) if at_end is not None else ()
        _check_length(self.name, len(samples), to_rate, start_seconds, min_seconds)
        return _waveform(self.name, samples, to_rate, warnings)


@contextmanager
def reading(source: Source) -> Iterator[Sound]:
    """A file, opened once: `with reading(path) as sound: sound.info, sound.load(start_seconds=60, clip_seconds=30)`."""
    with _reader(source) as reader:
        yield Sound(name_of(source), reader)


def info(source: Source) -> AudioInfo:
    """Container, codec, rate, channels and length, from the header as far as it says them."""
    with reading(source) as sound:
        return sound.info


def _count(reader) -> int:
    block, total = np.empty(1 << 18, np.float32), 0
    while count := reader.read_into(block):
        total += count
    return total


def load(
    source: Source,
    *,
    sample_rate: int | None = None,
    start_seconds: float = 0.0,
    clip_seconds: float | None = None,
    min_seconds: float = 0.0,
) -> Waveform:
    """A file, or an excerpt of it, as mono float32 samples (n,) at `sample_rate` (None keeps the file's own).

    An excerpt is what the same stretch of the whole file would be, and shorter where the file ends before it does;
    less than `min_seconds` is an error with the code too-short.
    """
    _check(sample_rate, start_seconds, clip_seconds)
    with reading(source) as sound:
        return sound.load(
            sample_rate=sample_rate, start_seconds=start_seconds, clip_seconds=clip_seconds, min_seconds=min_seconds
        )


def stream(
    source: Source, *, block_seconds: float = 30.0, sample_rate: int | None = None, start_seconds: float = 0.0
) -> Iterator[Waveform]:
    """The same samples as `load` in blocks of `block_seconds` (the last one shorter), in memory that does not grow."""
    _check(sample_rate, start_seconds, block_seconds)
    return _stream(source, block_seconds, sample_rate, start_seconds)


def _stream(source: Source, block_seconds: float, sample_rate: int | None, start_seconds: float) -> Iterator[Waveform]:
    name = name_of(source)
    with _reader(source) as reader:
        rate = reader.sample_rate
        to_rate = int(sample_rate or rate)
        start = round(start_seconds * to_rate)
        first, _ = _input_window(start, None, rate, to_rate)
        reader.seek(first)
        resampler = StreamResampler(rate, to_rate, skip=start - first * to_rate // rate)
        size, read, given = max(1, round(block_seconds * to_rate)), 0, 0
        while not resampler.ended:
            block = np.empty(max(1, round(block_seconds * rate)), np.float32)
            count = reader.read_into(block)
            read += count
            ended = count < len(block)
            resampler.push(block[:count], last=ended)
            while (samples := resampler.take(size)) is not None:
                warnings = _warnings(reader, first + read) if resampler.ended else ()
                given += len(samples)
                yield _waveform(name, samples, to_rate, warnings)
        if not given:
            _check_length(name, 0, to_rate, start_seconds, 0.0)


def _check(sample_rate: int | None, start_seconds: float, clip_seconds: float | None) -> None:
    if sample_rate is not None and (sample_rate != int(sample_rate) or sample_rate < 1):
        raise UsageError(f"sample_rate must be a whole number of Hz, not {sample_rate!r}")
    if not (math.isfinite(start_seconds) and start_seconds >= 0):
        raise UsageError(f"start_seconds must not be negative: {start_seconds!r}")
    if clip_seconds is not None and not (math.isfinite(clip_seconds) and clip_seconds > 0):
        raise UsageError(f"the length of a clip or block must be positive: {clip_seconds!r}")


def _input_window(start: int, length: int | None, rate: int, to_rate: int) -> tuple[int, int | None]:
    """Input frames [first, stop) from which output samples [start, start + length) can be made.

    `first` falls on a whole output sample, so that the excerpt stands on the grid of the whole file, and there is
    enough around it that the filter of the resampler does not see the edges.
    """
    if rate == to_rate:
        return start, None if length is None else start + length
    step = rate // math.gcd(rate, to_rate)
    context = math.ceil(_CONTEXT_SAMPLES * max(1.0, rate / to_rate))
    first = max(0, start * rate // to_rate - context) // step * step
    if length is None:
        return first, None
    return first, -(-(start + length) * rate // to_rate) + context


def _read(reader, count: int | None) -> tuple[np.ndarray, int | None]:
    """`count` frames (None: all) and, where the end was met, how many there were before it."""
    if count is None:
        expected = reader.guess if reader.guess < CREDIBLE_FRAMES else 0
        wanted = max(expected - reader.position, 0) + 1  # one more, so that the end shows itself
    else:
        wanted = count
    pieces, total = [], 0
    while total < wanted or count is None:
        piece = np.empty(min(max(wanted - total, 1 << 16), _BELIEVED), np.float32)
        if count is not None:
            piece = piece[: wanted - total]
        got = reader.read_into(piece)
        pieces.append(piece[:got])
        total += got
        if got < len(piece):
            break
    samples = pieces[0] if len(pieces) == 1 else np.concatenate([*pieces, np.empty(0, np.float32)])
    at_end = total if count is None or total < count else None
    return samples, at_end


def _warnings(reader, found: int) -> tuple[str, ...]:
    """What was wrong with the end of a file, once it was reached."""
    damage = reader.damage
    if reader.frames is not None and found < reader.frames - reader.tolerance:
        rate = reader.sample_rate
        part = f"{found / rate:.2f} of {reader.frames / rate:.2f} seconds could be read"
        damage = f"{damage}; {part}" if damage else part
    return (f"truncated: {damage}",) if damage else ()


def _check_length(name: str, n: int, rate: int, start_seconds: float, min_seconds: float) -> None:
    if n == 0 and start_seconds > 0:
        raise AudioError(name, "too-short", f"it ends before {start_seconds:g} s", hint="ask for an earlier excerpt")
    if n == 0:
        raise AudioError(name, "empty", "there is no sound in it", hint="copy or download it again")
    if n < round(min_seconds * rate):
        reason = f"{n / rate:.2f} s are there, {min_seconds:g} s were asked for"
        raise AudioError(name, "too-short", reason)


def _waveform(name: str, samples: np.ndarray, rate: int, warnings: tuple[str, ...]) -> Waveform:
    # One pass that any NaN or infinity spoils; large but finite samples can spoil it too, so then look closely.
    with np.errstate(over="ignore", invalid="ignore"):
        power = float(np.dot(samples, samples))
    if not (math.isfinite(power) or np.isfinite(samples).all()):
        bad = int(np.count_nonzero(~np.isfinite(samples)))
        reason = f"{bad} of {len(samples)} samples are NaN or infinite"
        raise AudioError(name, "not-finite", reason, hint="render or convert it again")
    silent = bool(samples[0] == samples[-1] and samples.min() == samples.max())
    return Waveform(samples, rate, silent, warnings, power)
