"""Sounds that the audio tests make themselves."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile


def music(seconds: float, rate: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    """Chords that change, under noise that swells, different in every channel, (n, channels) within -1 to 1."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    out = np.empty((len(t), channels))
    for channel in range(channels):
        hertz = np.repeat(rng.uniform(100, min(3000, rate / 3), int(seconds * 2) + 1), rate // 2 + 1)[: len(t)]
        tone = np.sin(2 * np.pi * np.cumsum(hertz) / rate)
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * 0.3 * t + channel)
        out[:, channel] = 0.4 * tone + 0.1 * swell * rng.normal(0, 1, len(t)).clip(-3, 3)
    return out.astype(np.float32)


def encode(samples: np.ndarray, rate: int, container: str, subtype: str | None = None, **keywords: object) -> bytes:
    """Bytes of a file that libsndfile writes."""
    file = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(file, "w", rate, channels, format=container, subtype=subtype, **keywords) as out:
        out.write(samples)
    return file.getvalue()


def encode_av(samples: np.ndarray, rate: int, codec: str, container: str, **options: str) -> bytes:
    """Bytes of a file that PyAV writes, from (n, channels)."""
    av = pytest.importorskip("av")
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]
    folder = tempfile.TemporaryDirectory()  # an index at the front is written by opening the file again
    path = Path(folder.name) / "sound"
    with folder, av.open(str(path), "w", format=container, options=options) as out:
        try:
            stream = out.add_stream(codec, rate=rate, layout=layout)
            stream.bit_rate = 192_000
            if codec == "aac":  # noise that the decoder makes up anew each time would blur comparisons
                stream.options = {"aac_pns": "0"}
        except (ValueError, av.FFmpegError) as error:
            pytest.skip(f"this PyAV cannot write {codec}: {error}")
        resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate)
        for begin in range(0, len(samples), 4096):
            planes = np.ascontiguousarray(samples[begin : begin + 4096].T)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, begin
            for part in resampler.resample(frame):
                out.mux(stream.encode(part))
        out.mux(stream.encode(None))
        out.close()
        return path.read_bytes()


def best_match(found: np.ndarray, expected: np.ndarray) -> float:
    """Correlation of two waveforms."""
    n = min(len(found), len(expected))
    return float(np.corrcoef(found[:n], expected[:n])[0, 1])
