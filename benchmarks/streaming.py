"""Long files: what streaming three hours costs in memory, and ten seconds from the middle in time.

    python benchmarks/streaming.py [--hours 3] [--json]

Makes an MP3, a FLAC and (with PyAV) an M4A of a minute of chords, repeated to full length where the format allows,
and reads each in a fresh process. Three hours take some two minutes and 1 GB of disk.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from tonearm.audio import _mp3

RATE = 44100

CHILD = """
import json, sys, time
from tonearm import audio

path, middle = sys.argv[1], float(sys.argv[2])
audio.load(path, clip_seconds=1)  # imports and the page cache are not what is measured
start = time.process_time()
excerpt = audio.load(path, start_seconds=middle, clip_seconds=10)
excerpt_seconds = time.process_time() - start
start, seconds = time.process_time(), 0.0
for block in audio.stream(path, sample_rate=22050):
    seconds += block.seconds
whole_seconds = time.process_time() - start
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "whole_cpu_seconds": whole_seconds, "excerpt_cpu_seconds": excerpt_seconds,
                  "excerpt_share": excerpt_seconds / whole_seconds, "peak_mb": peak / 1024}))
"""


def minute() -> np.ndarray:
    rng = np.random.default_rng(0)
    hertz = np.repeat(rng.uniform(100, 2000, 60), RATE)
    tone = 0.4 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)
    return np.stack([tone, np.roll(tone, 400)], axis=1) + 0.05 * rng.normal(size=(60 * RATE, 2))


def make_mp3(path: Path, minutes: int) -> None:
    """Frames of one minute, repeated, behind a count of them all: encoding hours would take as long as everything."""
    file = io.BytesIO()
    soundfile.write(file, minute(), RATE, format="MP3")
    data = file.getvalue()
    data = data[_mp3.parse_frame(data).size :]
    scan = _mp3.scan(io.BytesIO(data), 0)
    with open(path, "wb") as out:
        out.write(_mp3.write_count(data[:4], scan.frames * minutes, scan.size * minutes))
        for _ in range(minutes):
            out.write(data)


def make_flac(path: Path, minutes: int) -> None:
    samples = minute()
    with soundfile.SoundFile(path, "w", RATE, 2, format="FLAC", compression_level=0) as out:
        for _ in range(minutes):
            out.write(samples)


def make_m4a(path: Path, minutes: int) -> None:
    """Packets of one minute, repeated with later clocks."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="ipod") as out:
        stream = out.add_stream("aac", rate=RATE, layout="stereo")
        samples = minute().astype(np.float32)
        for begin in range(0, len(samples), 1024):
            planes = np.ascontiguousarray(samples[begin : begin + 1024].T)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, begin
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path), "w", format="ipod") as out:
        clock = 0
        file.seek(0)
        with av.open(file) as template:
            stream = out.add_stream_from_template(template.streams.audio[0])
        for _ in range(minutes):
            file.seek(0)
            with av.open(file) as once:
                for packet in once.demux(once.streams.audio[0]):
                    if packet.size:
                        packet.stream, packet.pts, packet.dts = stream, clock, clock
                        clock += 1024
                        out.mux(packet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    minutes = round(arguments.hours * 60)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("mp3", make_mp3), ("flac", make_flac), ("m4a", make_m4a)):
            path = Path(folder) / f"long.{name}"
            try:
                make(path, minutes)
            except ImportError:
                print(f"{name}: skipped, PyAV is not installed", file=sys.stderr)
                continue
            start = time.monotonic()
            command = [sys.executable, "-c", CHILD, str(path), str(minutes * 30)]
            results[name] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(f"{name}: done in {time.monotonic() - start:.0f} s", file=sys.stderr)
            path.unlink()
    if arguments.json:
        print(json.dumps(results))
        return
    for name, result in results.items():
        print(
            f"{name:5} {result['seconds'] / 3600:.2f} h  peak {result['peak_mb']:.0f} MB  "
            f"whole {result['whole_cpu_seconds']:.1f} s CPU  10 s from the middle "
            f"{result['excerpt_cpu_seconds'] * 1000:.0f} ms = {result['excerpt_share'] * 100:.2f} %"
        )


if __name__ == "__main__":
    main()
