"""A synthetic dataset that is rendered once for all tests of recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tonearm.datasets.synth import render_to


@pytest.fixture(scope="session")
def synth_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("music") / "synth"
    return render_to(folder, tracks_per_genre=5, artists_per_genre=5, seconds=5.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> None:
    """Packs of audio are kept for the session, and nowhere else."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("TONEARM_CACHE", str(folder))
