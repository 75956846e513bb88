"""A training that the system kills with no warning goes on, by the same command, to the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from recipe_data import mel_pack

from tonearm import recipes, runs


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signal kills without warning here")
def test_a_training_that_is_killed_goes_on_to_the_same_numbers(tmp_path):
    pack = mel_pack(tmp_path / "pack", n=96, bands=64, frames=64)
    settings = ["training.epochs=12", "training.schedule=one-cycle", "model.filters=[8, 16]", "model.pools=[4, 4]"]
    command = [sys.executable, "-m", "tonearm", "train", "njupt-cnn2d", "--data", str(pack.folder), "--adapt", "-q"]
    command += ["--threads", "1", *(word for pair in ("clip.frames=32", *settings) for word in ("--set", pair))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "-o", str(tmp_path / "whole")], env=environment, check=True, capture_output=True)
    cut, kills = tmp_path / "cut", 0
    for wanted in (2, 7):  # killed after so many epochs have been written down, wherever it then is
        process = subprocess.Popen([*command, "-o", str(cut)], env=environment, stderr=subprocess.DEVNULL)
        ends = time.monotonic() + 120
        while process.poll() is None and len(runs.read_curves(cut)) < wanted and time.monotonic() < ends:
            time.sleep(0.002)
        kills += process.poll() is None
        process.kill()
        process.wait()
    assert kills, "it was too fast to be killed"
    assert runs.describe(cut)["status"] == "running"
    subprocess.run([*command, "-o", str(cut)], env=environment, check=True, capture_output=True)
    assert recipes.same_numbers(tmp_path / "whole", cut)
    curves = [[{**row, "seconds": 0} for row in runs.read_curves(at)] for at in (tmp_path / "whole", cut)]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 12
    assert not (cut / "checkpoint").exists()
