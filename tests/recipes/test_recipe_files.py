"""The YAML files: every system is there, every key is checked, a variant differs in what it names."""

from __future__ import annotations

import dataclasses
import json

import pytest
import yaml

from tonearm import features, models, protocols, recipes
from tonearm.cli._root import run as tonearm
from tonearm.errors import UsageError
from tonearm.recipes._load import _family
from tonearm.recipes._prepare import is_classical, quicker
from tonearm.recipes._settings import TRAINING_KEYS

# Figures that the reports give, as the project's own list of systems has them.
CLAIMS = {
    "lam-cnn1d": 0.35, "allamy-resnet1d": 0.8093, "falola-cnn1d": 0.925, "li-dilated-2": 0.87, "li-dilated-3": 0.79,
    "bian-densenet1d": 0.647, "njupt-cnn2d": 0.73, "padova-raw-whole": 0.264, "padova-spec-whole": 0.395,
    "padova-both-whole": 0.376, "padova-raw-segmented": 0.314, "padova-spec-segmented": 0.429,
    "padova-both-segmented": 0.428, "svm-zcr": 0.2367, "knn-zcr": 0.19, "svm-mfcc": 0.6433, "knn-mfcc": 0.3167,
    "lstm-zcr+svm": 0.444, "lstm-zcr+knn": 0.4125, "lstm-mfcc+svm": 0.818, "lstm-mfcc+knn": 0.778,
    "velamati-cnn1d": 0.621, "velamati-cnn2d": 0.758, "cuny-dense": 0.45, "cuny-cnn2d": 0.36, "cuny-vgg16": 0.43,
    "cuny-vgg16-progressive": 0.33, "crnn1d": 0.441, "cnn-rnn": 0.444, "random-cnn+svm": 0.596,
}  # fmt: skip
BASELINES = ("majority", "nearest", "logistic", "lda", "linear-svm", "rbf-svm", "forest", "boosting",
             "linear-probe")  # fmt: skip


def test_every_system_of_the_reports_is_there_with_its_claim():
    for name, value in CLAIMS.items():
        assert recipes.get(name).claim.value == value, name
    for name in BASELINES:
        assert recipes.get(f"baseline-{name}").claim is None


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_names_only_what_exists(name):
    recipe = recipes.get(name)
    assert recipe.name == name
    assert recipe.system.title
    assert recipe.system.source
    assert recipe.caveats
    assert recipe.published["name"] in protocols.registry
    if recipe.feature["kind"] != "embedding":
        assert features.from_config(recipe.feature)
    keywords = {key: value for key, value in recipe.model.items() if key != "kind"}
    if is_classical(recipe.model["kind"]):
        assert models.create(recipe.model["kind"], 10, **keywords)
    if recipe.deep:
        assert is_classical(recipe.deep["kind"])
    assert recipes.from_config(recipe.config()) == recipe
    assert recipes.from_config(yaml.safe_load(yaml.safe_dump(recipe.config()))) == recipe
    assert quicker(quicker(recipe)) == quicker(recipe)


def test_the_keys_of_training_are_those_of_the_loop():
    from tonearm.training import Settings

    beside = {"join", "clips_per_track"}  # these stand in the section `clip`
    assert {*TRAINING_KEYS} == {field.name for field in dataclasses.fields(Settings)} - beside


def test_a_variant_differs_in_what_it_names_and_in_nothing_else():
    plain, dropout = recipes.get("padova-spec-segmented"), recipes.get("padova-spec-segmented-dropout")
    assert dropout.model == {**plain.model, "dropout": 0.2}
    assert dropout.clip == plain.clip
    assert dropout.feature == plain.feature
    scaled, unscaled = recipes.get("svm-mfcc-scaled"), recipes.get("svm-mfcc")
    assert {**scaled.model, "scale": "none"} == unscaled.model


def test_a_family_by_hand():
    content = {
        "name": "a", "system": {"title": "t"}, "feature": {"kind": "mfcc", "n_mfcc": 13}, "model": {"kind": "svm"},
        "caveats": ["one"], "grid": [{"x": {"model": {"kind": "knn", "neighbours": 3}}, "y": {}},
                                     {"": {}, "+z": {"feature": {"n_mfcc": 20}, "caveats": ["two"]}}],
    }  # fmt: skip
    found = _family(content, "file")
    assert sorted(found) == ["a-x", "a-x+z", "a-y", "a-y+z"]
    assert found["a-x+z"]["model"] == {"kind": "knn", "neighbours": 3}
    assert found["a-x+z"]["feature"] == {"kind": "mfcc", "n_mfcc": 20}
    assert found["a-x+z"]["caveats"] == ["one", "two"]
    assert found["a-y"]["feature"] == {"kind": "mfcc", "n_mfcc": 13}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modle": 1}, "'modle' .*did you mean 'model'"),
        ({"clip.secnds": 3}, "clip: 'secnds' .*did you mean 'seconds'"),
        ({"training.epoch": 3}, "training: 'epoch' .*did you mean 'epochs'"),
        ({"training.join": "sum"}, "training: 'join'"),
        ({"clip.join": "median"}, "'median' .*valid: log-mean, majority, mean, sum"),
        ({"clip.overlap": 1.0}, "clip.overlap: input should be less than 1"),
        ({"vector.pool": "max"}, "'max' .*valid: mean-variance"),
        ({"published.nmae": 1}, "published: 'nmae'"),
        ({"claim.value": "much"}, "claim.value: input should be a valid number"),
        ({"clip.seconds": 3.0}, "seconds or frames, not both"),
        ({"model": {"filters": [3]}}, "model needs a kind"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_valid_ones(settings, message):
    with pytest.raises(UsageError, match=message):
        recipes.changed(recipes.get("njupt-cnn2d"), settings)


def test_settings_from_the_command_line():
    found = recipes.parse_set(["model.kernel_size=5", "training.schedule=cosine", "model.filters=[4, 8]", "claim=null"])
    assert found == {
        "model.kernel_size": 5, "training.schedule": "cosine", "model.filters": [4, 8], "claim": None,
    }  # fmt: skip
    recipe = recipes.changed(recipes.get("njupt-cnn2d"), found)
    assert (recipe.model["kernel_size"], recipe.training["schedule"], recipe.claim) == (5, "cosine", None)
    assert recipe.training["epochs"] == 500
    # YAML 1.1 would read a text.
    found = recipes.parse_set(["training.learning_rate=1e-4", "a.b=[2E3, {c: -1.5e+2}]", "name=e5"])
    assert found == {"training.learning_rate": 1e-4, "a.b": [2000.0, {"c": -150.0}], "name": "e5"}
    for text in ("novalue", "=3", "a.b=[1"):
        with pytest.raises(UsageError):
            recipes.parse_set([text])


def test_unknown_recipes_and_files(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'svm-mfcc'"):
        recipes.get("svm-mfc")
    with pytest.raises(UsageError, match="no such file"):
        recipes.get(str(tmp_path / "none.yaml"))
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(UsageError, match="no recipe can be read"):
        recipes.get(str(tmp_path / "broken.yaml"))
    own = yaml.safe_dump(recipes.get("njupt-cnn2d").config()).replace("learning_rate: 0.001", "learning_rate: 3e-4")
    (tmp_path / "own.yaml").write_text(own)
    assert recipes.get(str(tmp_path / "own.yaml")).training["learning_rate"] == 3e-4
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(UsageError, match="a recipe is a mapping"):
        recipes.get(str(tmp_path / "list.yaml"))


def test_the_commands_show_claims_and_caveats(capsys):
    assert tonearm(["recipes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == recipes.names()
    for row in rows:
        assert set(row) >= {"name", "system", "claim", "caveats"}
        assert row["claim"] is None or set(row["claim"]) >= {"dataset", "protocol", "metric", "value"}
    assert tonearm(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("svm-mfcc: SVM or KNN on pieces of 3 s")
    assert lines[at + 1] == "  claims 64.33 % accuracy (gtzan, pieces of 3 s); as published: the protocol segment"
    for row in rows:
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{row['name']}: "))
        block = lines[at : lines.index("", at)]
        told = [line.removeprefix("  ! ") for line in block if line.startswith("  ! ")]
        assert told == row["caveats"], "what is known of neighbours in common stands once, below them"
    assert tonearm(["recipes", "show", "svm-mfcc"]) == 0
    shown = capsys.readouterr().out
    assert recipes.from_config(yaml.safe_load(shown)) == recipes.get("svm-mfcc")
    assert tonearm(["recipes", "show", "svm"]) == 2
