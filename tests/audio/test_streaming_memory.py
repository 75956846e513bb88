"""Memory of a stream does not grow with the length of the file."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest

CHILD = """
import sys
from tonearm import audio

seconds = 0.0
for block in audio.stream(sys.argv[1], sample_rate=22050):
    seconds += block.seconds
with open("/proc/self/status") as file:  # not ru_maxrss, which begins with the parent's
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
print(seconds, peak / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_three_hours_stay_under_400_megabytes(tmp_path):
    """953 MB of mono WAV, of which the disk holds only the noise at both ends."""
    path = tmp_path / "long.wav"
    rate, seconds = 44100, 3 * 3600
    size = rate * seconds * 2
    noise = np.random.default_rng(0).integers(-9999, 9999, rate, dtype="<i2").tobytes()
    with open(path, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", size + 36) + b"WAVE")
        file.write(b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16))
        file.write(b"data" + struct.pack("<I", size) + noise)
        file.truncate(44 + size - len(noise))
        file.seek(0, 2)
        file.write(noise)
    run = subprocess.run([sys.executable, "-c", CHILD, path], capture_output=True, text=True, check=True, timeout=120)
    path.unlink()
    found, peak_mb = map(float, run.stdout.split())
    assert found == seconds
    assert peak_mb < 150  # far below what was promised, so that growth would show
