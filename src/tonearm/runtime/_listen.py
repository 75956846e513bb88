"""From any kind of sound to the excerpts that a model hears: spread over the song, read by seeking."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from tonearm import audio
from tonearm.audio import AudioError, Waveform
from tonearm.errors import UsageError
from tonearm.runtime._prediction import Problem

# A clip of "30 s" is mostly some hundredths off; it is heard whole, and has all the frames of its feature.
SLACK = 1.05


class Plan(NamedTuple):
    """At which rate how many excerpts of what length; a sound of up to `whole_seconds` is heard whole."""

    sample_rate: int
    excerpts: int
    clip_seconds: float
    whole_seconds: float


class Heard(NamedTuple):
    """Excerpts at the plan's rate, in order; length and rate of the sound itself, and what was wrong with it."""

    excerpts: list[Waveform]
    seconds: float
    sample_rate: int
    warnings: tuple[Problem, ...] = ()

    @property
    def there_seconds(self) -> float:
        """How much sound there is to judge by: of a file that ends before its header says so, what could be read."""
        if not any(warning.code == "truncated" for warning in self.warnings):
            return self.seconds
        return min(self.seconds, sum(excerpt.seconds for excerpt in self.excerpts))


def starts(seconds: float, plan: Plan) -> list[float]:
    """Where excerpts begin: each in the middle of its share of the song, so that intro and end weigh least."""
    if seconds <= plan.whole_seconds * SLACK:
        return [0.0]
    # No more of them than fill the song: beyond that they would say the same twice.
    count = max(1, min(plan.excerpts, math.ceil(seconds / plan.clip_seconds - 0.05)))
    room = seconds - plan.clip_seconds
    middles = ((i + 0.5) / count * seconds - plan.clip_seconds / 2 for i in range(count))
    return [min(max(0.0, start), room) for start in middles]


class Hearing:
    """A sound while it is open: what is heard of it first, and more of it where that is asked for."""

    def __init__(self, heard: Heard, plan: Plan, piece: Callable[[float], Waveform]) -> None:
        self.heard, self._plan, self._piece = heard, plan, piece

    def more(self, places: Sequence[float], *, heard: int) -> list[Waveform]:
        """Excerpts more of a song, their middles at `places` (shares of its length), beside so many `heard` already.

        None where all would be more than twice the song, or where they cannot be read: there is an answer without them.
        """
        seconds, length = self.heard.seconds, self._plan.clip_seconds
        if 2 * seconds < (heard + len(places)) * length:
            return []
        try:
            # Near an end they lie within the song, however short it is.
            return [self._piece(min(max(0.0, seconds * place - length / 2), seconds - length)) for place in places]
        except AudioError:
            return []


@contextmanager
def hearing(source: Any, plan: Plan, sample_rate: int | None = None) -> Iterator[Hearing]:
    """A path, bytes, an open binary file, a Waveform, or an array with its `sample_rate`, opened once for all of it."""
    waveform = as_waveform(source, sample_rate)
    if waveform is not None:
        yield Hearing(_of_waveform(waveform, plan), plan, lambda start: _piece(waveform, plan, start))
        return
    source = seekable(source)
    with audio.reading(source) as sound:  # to look at a header may take reading the whole file
        least = plan.clip_seconds / SLACK
        yield Hearing(
            _of_file(source, sound, plan), plan, lambda start: _excerpt(sound, plan, start, plan.clip_seconds, least)
        )


def listen(source: Any, plan: Plan, sample_rate: int | None = None) -> Heard:
    """The excerpts of a sound of any kind that `hearing` takes."""
    with hearing(source, plan, sample_rate) as sound:
        return sound.heard


def as_waveform(source: Any, sample_rate: int | None) -> Waveform | None:
    """Sound that is in memory already as mono float32; None for what has to be read."""
    if isinstance(source, Waveform):
        return _checked(source, "<array>")
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read"):
        if sample_rate is not None:
            raise UsageError("a file knows its sample rate", hint="sample_rate goes with arrays of samples")
        return None
    samples = np.asarray(source)
    if samples.dtype.kind not in "fiu" or samples.ndim not in (1, 2):
        raise UsageError(
            f"an array of shape {samples.shape} and type {samples.dtype} is no sound",
            hint="samples (n,) or (n, channels), numbers; or a path, bytes, or an open binary file",
        )
    if sample_rate is None or sample_rate < 1000:
        raise UsageError(f"an array needs its sample rate in Hz, not {sample_rate!r}", hint="sample_rate=44100")
    if samples.dtype.kind != "f":
        # Whole numbers fill their type's range; unsigned ones have silence in the middle.
        limits = np.iinfo(samples.dtype)
        middle = 0 if samples.dtype.kind == "i" else limits.max // 2 + 1
        samples = (samples.astype(np.float32) - middle) / np.float32(limits.max // (1 if middle == 0 else 2))
    if samples.ndim == 2:
        samples = samples.mean(axis=int(np.argmin(samples.shape)))  # no sound has more channels than samples
    if not len(samples):
        raise AudioError("<array>", "empty", "there is no sound in it")
    samples = np.ascontiguousarray(samples, np.float32)
    if not np.isfinite(samples).all():
        raise AudioError("<array>", "not-finite", "some samples are NaN or infinite")
    with np.errstate(over="ignore"):
        power = float(np.dot(samples, samples))
    return _checked(Waveform(samples, int(sample_rate), bool(np.ptp(samples) == 0), power=power), "<array>")


def seekable(source: Any) -> Any:
    """A stream that cannot go back is read once, because every excerpt opens the source again."""
    if hasattr(source, "read") and not (hasattr(source, "seekable") and source.seekable()):
        return source.read()
    return source


def _checked(waveform: Waveform, name: str) -> Waveform:
    """The same, unless its samples are finite, but so large that no feature of them is."""
    if waveform.power is not None and not math.isfinite(waveform.power):
        most = float(np.abs(waveform.samples).max())
        raise AudioError(name, "not-finite", f"its samples go up to {most:.0e} times full scale: that is no sound")
    return waveform


def _of_waveform(waveform: Waveform, plan: Plan) -> Heard:
    rate, found = waveform.sample_rate, []
    whole = waveform.seconds <= plan.whole_seconds * SLACK
    for start in starts(waveform.seconds, plan):
        if whole:
            found.append(Waveform(audio.resample(waveform.samples, rate, plan.sample_rate), plan.sample_rate))
        else:
            found.append(_piece(waveform, plan, start))
    return Heard(found, waveform.seconds, rate, _problems(waveform.warnings))


def _piece(waveform: Waveform, plan: Plan, start_seconds: float) -> Waveform:
    rate = waveform.sample_rate
    first = round(start_seconds * rate)
    samples = waveform.samples[first : first + round(plan.clip_seconds * rate)]
    return Waveform(audio.resample(samples, rate, plan.sample_rate), plan.sample_rate)


def _excerpt(sound: audio.Sound, plan: Plan, start: float, length: float, least: float = 0.0) -> Waveform:
    excerpt = sound.load(sample_rate=plan.sample_rate, start_seconds=start, clip_seconds=length, min_seconds=least)
    return _checked(excerpt, sound.name)


def _of_file(source: Any, sound: audio.Sound, plan: Plan) -> Heard:
    found: list[Waveform] = []
    failed: AudioError | None = None
    told = sound.info
    length = plan.clip_seconds if told.seconds > plan.whole_seconds * SLACK else plan.whole_seconds * SLACK
    for start in starts(told.seconds, plan):
        try:
            found.append(_excerpt(sound, plan, start, length))
        except AudioError as error:
            if error.code not in ("too-short", "empty"):
                raise
            failed = error  # the file ends before its header says so
    warnings = {sentence for waveform in found for sentence in waveform.warnings}
    if failed is not None:
        warnings.add(f"truncated: {failed.reason}")
        if max((waveform.seconds for waveform in found), default=0.0) < plan.clip_seconds / 2:
            with audio.reading(source) as again:  # from its beginning
                found = [_excerpt(again, plan, 0.0, plan.clip_seconds)]
    # Of what was cut short in the middle only the whole excerpts count, if there are any.
    longest = max(len(waveform.samples) for waveform in found)
    found = [waveform for waveform in found if len(waveform.samples) * SLACK >= longest]
    seconds = max(told.seconds, found[0].seconds) if failed is None else told.seconds
    return Heard(found, seconds, told.sample_rate, _problems(sorted(warnings)))


def _problems(sentences: Any) -> tuple[Problem, ...]:
    """Warnings of the audio room begin with their code."""
    return tuple(Problem(*sentence.split(": ", 1)) for sentence in sentences)


def windows(
    source: Any, plan: Plan, step_seconds: float, sample_rate: int | None = None
) -> Iterator[tuple[float, Waveform]]:
    """Windows of the plan's clip length every `step_seconds` over the whole sound, (start in seconds, waveform).

    Little more than one window is kept in memory. A last one ends where the sound ends, unless one nearly does so; a
    sound that is shorter than a window is one.
    """
    rate, size = plan.sample_rate, round(plan.clip_seconds * plan.sample_rate)
    step = max(1, round(step_seconds * rate))
    waveform = as_waveform(source, sample_rate)
    if waveform is not None:
        samples = audio.resample(waveform.samples, waveform.sample_rate, rate)
        blocks: Iterator[Waveform] = iter([Waveform(samples, rate)])
    else:
        blocks = audio.stream(seekable(source), block_seconds=max(1.0, step_seconds), sample_rate=rate)
    kept, begin, due = np.empty(0, np.float32), 0, 0  # `begin`: the place in the sound of kept[0]
    for block in blocks:
        kept = np.concatenate([kept, _checked(block, path_of(source) or "<sound>").samples])
        while due + size <= begin + len(kept):
            yield due / rate, Waveform(kept[due - begin : due - begin + size], rate)
            due += step
        # What the next window needs, and what the last one will if the sound ends here.
        drop = max(0, min(due, begin + len(kept) - size) - begin)
        kept, begin = kept[drop:], begin + drop
    total = begin + len(kept)
    if total < size:
        yield 0.0, Waveform(kept, rate)
    elif total - (due - step + size) > step / 4:
        yield (total - size) / rate, Waveform(kept[-size:], rate)


def path_of(source: Any) -> str | None:
    """The path of a sound as text, where it has one."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else None
