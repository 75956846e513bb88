"""Sound in a page: a short excerpt, small enough to be part of it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tonearm.audio import Waveform
from tonearm.errors import TonearmError
from tonearm.reports._html import Safe, tag

EXCERPT_SECONDS = 6.0
SAMPLE_RATE = 22050
# What the first 30 s hold is what models of the usual packs have heard: an excerpt comes from their middle.
_HEARD_SECONDS = 30.0
# Of libsndfile's range from best (0) to smallest (1): 40 kbit/s in mono, 30 KB for an excerpt.
_COMPRESSION = 0.8


class Excerpt(NamedTuple):
    """A stretch of a file as an address that holds it, and where it was taken."""

    address: str
    start_seconds: float
    seconds: float
    waveform: Waveform


def excerpt(path: str | Path, *, seconds: float = EXCERPT_SECONDS) -> Excerpt:
    """The middle of what models hear of a file, as MP3 in an address; raises AudioError where it cannot be read."""
    from tonearm import audio

    there = min(_HEARD_SECONDS, audio.info(path).seconds)
    start = max(0.0, (there - seconds) / 2)
    waveform = audio.load(path, sample_rate=SAMPLE_RATE, start_seconds=start, clip_seconds=seconds)
    return Excerpt(address(waveform), start, waveform.seconds, waveform)


def address(waveform: Waveform) -> str:
    """A waveform as an address that holds it; MP3 because every browser plays it."""
    import soundfile

    samples = np.array(waveform.samples, np.float32)
    ramp = min(len(samples) // 2, round(0.01 * waveform.sample_rate))
    if ramp:  # else it would begin and end with a click
        samples[:ramp] *= np.linspace(0, 1, ramp, dtype=np.float32)
        samples[-ramp:] *= np.linspace(1, 0, ramp, dtype=np.float32)
    out, settings = io.BytesIO(), {}
    if "MP3" in soundfile.available_formats():
        kind, settings = "audio/mpeg", {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": _COMPRESSION,
                                        "bitrate_mode": "CONSTANT"}  # fmt: skip
    else:  # a libsndfile from before 2022
        kind, settings = "audio/wav", {"format": "WAV", "subtype": "PCM_16"}
    soundfile.write(out, np.clip(samples, -1, 1), waveform.sample_rate, **settings)
    return f"data:{kind};base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def player(source: str, named: str, **attributes: Any) -> Safe:
    return tag("audio", controls="", preload="none", src=source, aria_label=named, **attributes)


def files(spec: str, ids: set[str]) -> dict[str, str]:
    """Where the sound of each id lies: `spec` is a folder of files named by id, or a dataset as `tonearm data` does."""
    from tonearm import datasets
    from tonearm.audio import SUFFIXES

    folder = Path(spec).expanduser()
    if folder.is_dir():
        found = {path.stem: str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES}
        found = {name: found[name] for name in ids if name in found}
        if found:
            return found
    try:
        tracks = datasets.resolve(spec).tracks
    except TonearmError:
        if not folder.is_dir():
            raise
        tracks = []
    found = {t.id: t.path for t in tracks if t.id in ids and t.path and Path(t.path).is_file()}
    if not found:
        raise TonearmError(
            f"{spec}: no file here is named by an id of the data",
            hint="files are found by their ids, such as 000002.mp3; or name the dataset, such as fma:FOLDER",
            code="missing",
        )
    return found
