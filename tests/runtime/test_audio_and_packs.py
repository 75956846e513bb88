"""What a model hears of a file is what packs of its feature hold: the same bytes, up to the pack's own reference."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_model import write_tiny

import tonearm
from tonearm import packs


def correlations(shared_data, tmp_path, pack: str, pattern: str) -> tuple[list[float], list[float]]:
    """Per clip: correlation of pack row and feature, and how far the tiny model's answers on both are apart."""
    opened = packs.open_pack(shared_data / pack)
    rows = {name: row for row, name in enumerate(opened.ids.tolist())}
    stored = {"dtype": str(opened.features.dtype), "scale": opened.meta["scale"]}
    model = tonearm.load(
        write_tiny(
            tmp_path / "tiny.onnx", feature=opened.feature_config, stored=stored, temperature=10.0,
            listen={"excerpts": 3, "clip_seconds": 30.0}, clips={"frames": 96, "overlap": 0.5, "join": "log-mean"},
        )
    )  # fmt: skip
    found, apart = [], []
    for path in sorted((shared_data / "audio").glob(pattern)):
        row = opened.features[rows[path.stem]]
        heard = model.features(path)
        assert heard.shape == (1, *row.shape), path.name
        found.append(float(np.corrcoef(heard[0].ravel(), row.astype(float).ravel())[0, 1]))
        shares, _ = model.from_features(row[None])
        apart.append(float(np.abs(shares[0] - model.predict(path).probabilities).max()))
    return found, apart


@pytest.mark.parametrize(
    ("pack", "pattern", "count"), [("gtzan-mel", "gtzan/*/*.00000.flac", 10), ("fma-small-mel", "fma/*.mp3", 5)]
)
def test_the_feature_of_whole_clips_is_the_row_of_the_pack(pack, pattern, count, shared_data, tmp_path):
    found, apart = correlations(shared_data, tmp_path, pack, pattern)
    assert len(found) == count
    assert np.median(found) > 0.999
    assert min(found) > 0.985
    assert np.median(apart) < 0.02
