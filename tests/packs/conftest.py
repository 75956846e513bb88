"""Small music for the tests of packs, and the command line as a process."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from pack_helpers import command, tone


@pytest.fixture(scope="session")
def music(tmp_path_factory) -> Path:
    """24 short WAV files in two genre folders; nobody writes here."""
    root = tmp_path_factory.mktemp("music")
    for number in range(24):
        folder = root / ("blues" if number % 2 else "rock")
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"song{number:02}.wav", tone(1 + number % 3 * 0.25, seed=number), 22050)
    return root


@pytest.fixture
def tonearm() -> Callable[..., subprocess.CompletedProcess]:
    """Run the command line as a process of its own."""

    def run(*arguments: object, **keywords) -> subprocess.CompletedProcess:
        return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, **keywords)

    return run
