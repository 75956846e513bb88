"""A model as it is used: what comes in, what is said, and that it says the same on every way."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_model import CLASSES, write_tiny

import tonearm


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tonearm.load(write_tiny(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def test_a_model_knows_its_genres_and_answers(tiny):
    assert tiny.genres == CLASSES
    sound = np.random.default_rng(0).normal(0, 0.1, 22050 * 7)
    prediction = tiny.predict(sound, sample_rate=22050)
    assert prediction.probabilities.sum() == pytest.approx(1.0)
    assert prediction.embedding.shape == (24,)
    assert prediction.seconds == pytest.approx(7.0)
