"""Miniatures of the published datasets, made with the structure that was published."""

from __future__ import annotations

import csv
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_server import Server
from miniatures import FMA_TRACKS, TREE, write_tracks


@pytest.fixture
def fma_copy(tmp_path):
    """fma_metadata and fma_small as the archives leave them; 000005.mp3 is missing."""
    metadata = tmp_path / "fma" / "fma_metadata"
    metadata.mkdir(parents=True)
    write_tracks(metadata / "tracks.csv", FMA_TRACKS)
    with open(metadata / "genres.csv", "w", newline="") as file:
        csv.writer(file).writerows([("genre_id", "#tracks", "parent", "title", "top_level"), *TREE])
    for name in ("000/000002", "098/098565"):
        file = tmp_path / "fma" / "fma_small" / f"{name}.mp3"
        file.parent.mkdir(parents=True)
        sound = np.random.default_rng(int(name[-3:])).standard_normal(44100).astype(np.float32) / 9
        soundfile.write(file, sound, 44100, format="MP3", subtype="MPEG_LAYER_III")
    return tmp_path / "fma"


@pytest.fixture
def gtzan_copy(tmp_path):
    """Makes a copy of a few GTZAN clips in a layout that is given as a pattern of {genre} and {id}."""

    def make(pattern: str = "genres/{genre}/{id}.wav", ids=("blues.00000", "blues.00001", "rock.00016")) -> Path:
        root = tmp_path / "gtzan"
        for name in ids:
            file = root / pattern.format(genre=name.split(".")[0], id=name)
            file.parent.mkdir(parents=True, exist_ok=True)
            sound = np.random.default_rng(len(name) + int(name[-5:])).standard_normal(2205).astype(np.float32) / 9
            soundfile.write(file, sound, 22050, format="WAV")
        return root

    return make


@pytest.fixture
def server():
    served = Server()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()
