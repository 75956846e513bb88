"""The model of a run says of other data what it said while it was trained."""

from __future__ import annotations

import numpy as np
import pytest
from recipe_data import mel_pack, table_pack
from test_recipe_runs import net, options

from tonearm import recipes, runs
from tonearm.errors import TonearmError, UsageError


@pytest.mark.parametrize("what", ["net", "deep", "table", "dense", "vgg16"])
def test_the_model_of_a_run_gives_the_predictions_of_the_run(tmp_path, what):
    pack = table_pack(tmp_path / "pack") if what in ("table", "dense") else mel_pack(tmp_path / "pack", bands=32)
    dense = {"feature": {"kind": "statistics", "table": "gtzan"}, "vector.columns": ["mfcc*"], "training.epochs": 2,
             "vector.log": ["*_var"], "training.precision": "float32"}  # fmt: skip
    vgg = {"feature.frames": 60, "feature.n_mels": 32, "clip.frames": 30, "training.epochs": 1}
    recipe = {
        "net": lambda: net(**{"training.epochs": 2}),
        "deep": lambda: net(deep={"kind": "svm"}, untrained=True),
        "table": lambda: recipes.get("baseline-lda"),
        "dense": lambda: recipes.changed(recipes.get("cuny-dense"), dense),
        "vgg16": lambda: recipes.changed(recipes.get("cuny-vgg16"), vgg),
    }[what]()
    out = recipes.run(recipe, str(pack.folder), tmp_path / "run", options(adapt=True))
    told = runs.read_predictions(out, "valid", unit="segment")
    again = recipes.predict_with(out, pack.folder)
    chosen = [i for i, name in enumerate(again.ids) if name in set(told.ids)]
    assert [again.ids[i] for i in chosen] == list(told.ids)
    np.testing.assert_allclose(again.probabilities[chosen], told.probabilities, atol=2e-6)


def test_data_that_the_model_does_not_understand(tmp_path):
    out = recipes.run(net(), str(mel_pack(tmp_path / "pack").folder), tmp_path / "run", options(adapt=True))
    foreign = table_pack(tmp_path / "foreign", genre=["polka", "waltz", "metal"] * 24)
    table = recipes.run(
        recipes.get("baseline-lda"), str(table_pack(tmp_path / "table").folder), tmp_path / "b", options()
    )
    with pytest.raises(UsageError, match="classes that the model does not know: polka, waltz"):
        recipes.predict_with(table, foreign.folder)
    other = mel_pack(tmp_path / "other", frames=20)
    with pytest.raises(TonearmError, match="clips of 20 frames, the model learnt from 30"):
        recipes.predict_with(out, other.folder)
    with pytest.raises(TonearmError, match="no such file"):
        recipes.predict_with(tmp_path, other.folder)
