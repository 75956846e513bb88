"""One file, decoded once: what is wrong with it, what it is the same as, and what the quick classifier hears."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tonearm import audio
from tonearm.audio import Waveform
from tonearm.audit.fingerprint import FINGERPRINT_SECONDS, Landmarks, landmarks
from tonearm.audit.listen import LEAST_SECONDS, listen
from tonearm.errors import TonearmError


@dataclass(frozen=True)
class Heard:
    """What decoding a file told. `digest` is of the decoded samples; `clipped` the share of samples that sit at the
    rails in a row; `quiet` the share of the time below -70 dBFS; `values` (segments, columns) or None if too short.
    """

    seconds: float
    sample_rate: int
    digest: str
    constant: bool
    peak: float
    clipped: float
    quiet: float
    warnings: tuple[str, ...]
    prints: Landmarks
    values: np.ndarray | None


QUIET = 10 ** (-70 / 20)


def examine(path: str) -> Heard:
    """Decode in blocks; memory holds the first ten minutes at most. Runs in a worker."""
    digest = hashlib.blake2b(digest_size=16)
    kept, samples, rate, peak = [], 0, 0, 0.0
    clipped = quiet = seconds = 0.0
    constant, warnings, first = True, (), None
    for block in audio.stream(path):
        x, rate = block.samples, block.sample_rate
        digest.update(x.tobytes())
        if samples < FINGERPRINT_SECONDS * rate:
            kept.append(x)
        samples += len(x)
        first = x[0] if first is None else first
        constant = constant and bool((x == first).all())
        peak = max(peak, float(np.abs(x).max()))
        clipped += _at_rails(x)
        loud = np.sqrt(np.add.reduceat(np.square(x), np.arange(0, len(x), rate // 10 or 1)) / (rate / 10))
        quiet += float((loud < QUIET).mean()) * len(x)
        seconds += len(x) / rate
        warnings += block.warnings
    wave = Waveform(np.concatenate(kept), rate)
    sound = not constant and seconds >= LEAST_SECONDS
    empty = Landmarks(np.empty(0, np.uint32), np.empty(0, np.int32))
    return Heard(
        seconds=seconds,
        sample_rate=rate,
        digest=f"{rate}:{digest.hexdigest()}",
        constant=constant,
        peak=peak,
        clipped=clipped / max(1, samples),
        quiet=quiet / max(1, samples),
        warnings=warnings,
        prints=empty if constant else landmarks(wave),
        values=listen(wave) if sound else None,
    )


def _at_rails(x: np.ndarray) -> int:
    """Samples in runs of three or more at full scale: a single one there is a peak, a run is a flat top."""
    rail = np.abs(x) >= 0.999
    run = rail[2:] & rail[1:-1] & rail[:-2]
    return int(run.sum()) + (2 if run.any() else 0)


def run_over(
    function: Callable[[str], object], paths: Sequence[str], *, workers: int | None = None, progress=None, words=""
) -> list[object]:
    """Apply a function to files in worker processes: results in order, a TonearmError where one failed."""
    from tonearm.engines import local

    results: list[object] = [None] * len(paths)
    outcomes = local.run(function, list(paths), workers=workers, timeout_seconds=600.0)
    for done, outcome in enumerate(outcomes, 1):
        results[outcome.index] = outcome.value if outcome.error is None else outcome.error
        if progress and (done % 20 == 0 or done == len(paths)):
            progress(f"{words}: {done} of {len(paths)} files")
    return results


def failed(result: object) -> bool:
    return isinstance(result, TonearmError)
