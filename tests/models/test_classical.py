"""Classical models: the numpy answers are scikit-learn's, whatever the data; files hold arrays and nothing else."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tonearm import models
from tonearm.errors import TonearmError, UsageError

KEYWORDS = {"forest": {"trees": 20}, "boosting": {"rounds": 10}, "knn": {"neighbours": 3}}


def clouds(n_classes: int = 4, n: int = 160, columns: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clouds that overlap, on axes of very different length."""
    draw = np.random.default_rng(seed)
    y = draw.integers(0, n_classes, n)
    centres = draw.normal(size=(n_classes, columns)) * 0.8
    return (centres[y] + draw.normal(size=(n, columns))) * 10.0 ** draw.integers(-2, 4, columns), y


PEERS = [
    ("logistic", {}, LogisticRegression(max_iter=2000)),
    ("logistic", {"strength": 0.1}, LogisticRegression(C=0.1, max_iter=2000)),
    ("lda", {}, LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
    ("lda", {"shrinkage": 0.3}, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)),
    ("knn", {"neighbours": 1}, KNeighborsClassifier(1)),
    ("knn", {"neighbours": 7}, KNeighborsClassifier(7)),
    ("knn", {"neighbours": 5, "distance_weights": True}, KNeighborsClassifier(5, weights="distance")),
    ("forest", {"trees": 30}, RandomForestClassifier(30, random_state=0)),
    ("forest", {"trees": 10, "least_leaf": 5}, RandomForestClassifier(10, min_samples_leaf=5, random_state=0)),
    ("boosting", {"rounds": 15}, HistGradientBoostingClassifier(max_iter=15, early_stopping=False, random_state=0)),
]


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize(("kind", "keywords", "peer"), PEERS, ids=lambda value: str(value)[:40])
def test_probabilities_are_those_of_scikit_learn(kind, keywords, peer, n_classes):
    x, y = clouds(n_classes)
    fresh, _ = clouds(n_classes, seed=1)
    scaler = StandardScaler().fit(x)
    expected = peer.fit(scaler.transform(x), y).predict_proba(scaler.transform(fresh))
    found = models.create(kind, n_classes, **keywords).fit(x, y, seed=0).predict_proba(fresh)
    # Nearest neighbours keep their rows in float32, which moves a weight in the seventh digit.
    np.testing.assert_allclose(found, expected, atol=1e-5 if kind == "knn" else 1e-8)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("keywords", [{}, {"kernel": "linear"}, {"cost": 10.0, "width": 0.05}])
def test_svm_answers_as_scikit_learns_does(n_classes, keywords):
    x, y = clouds(n_classes, n=240)
    fresh, _ = clouds(n_classes, n=500, seed=1)
    scaler = StandardScaler().fit(x)
    names = {"kernel": "kernel", "cost": "C", "width": "gamma"}
    peer = SVC(break_ties=n_classes > 2, decision_function_shape="ovr", **{names[k]: v for k, v in keywords.items()})
    peer.fit(scaler.transform(x), y)
    found = models.create("svm", n_classes, **keywords).fit(x, y).predict_proba(fresh)
    assert (found.argmax(axis=1) == peer.predict(scaler.transform(fresh))).all()
    if n_classes > 2:
        scores = peer.decision_function(scaler.transform(fresh))
        expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_majority_is_the_share_of_each_class():
    x, y = np.zeros((5, 2)), np.array([0, 0, 0, 2, 2])
    found = models.create("majority", 3).fit(x, y).predict_proba(np.ones((2, 2)))
    np.testing.assert_allclose(found, [[0.6, 0, 0.4]] * 2)


@pytest.mark.parametrize("kind", models.registry)
def test_contract(kind, tmp_path):
    """Every model of the folder: equal seeds equal models, a class that is missing, a file and back, nothing moved."""
    keywords = KEYWORDS.get(kind, {})
    x, y = clouds(3)
    y[y == 1] = 2  # class 1 is never seen
    before = x.copy()
    model = models.create(kind, 3, **keywords).fit(x, y, seed=4)
    found = model.predict_proba(x)
    assert found.shape == (len(x), 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-9)
    assert (found[:, 1] == 0).all()
    np.testing.assert_array_equal(x, before)
    again = models.create(kind, 3, **keywords).fit(x, y, seed=4)
    np.testing.assert_array_equal(again.predict_proba(x), found)
    models.save(model, tmp_path / "a.model")
    read = models.load(tmp_path / "a.model")
    assert read.config() == model.config()
    np.testing.assert_array_equal(read.predict_proba(x), found)
    assert [p.name for p in tmp_path.iterdir()] == ["a.model"]


@pytest.mark.parametrize("kind", models.registry)
def test_one_class_only_is_answered_with_that_class(kind):
    if kind in ("logistic", "lda"):
        pytest.skip("scikit-learn refuses to fit a line between one class and nothing")
    model = models.create(kind, 3, **KEYWORDS.get(kind, {})).fit(np.random.default_rng(0).normal(size=(9, 4)), [1] * 9)
    np.testing.assert_allclose(model.predict_proba(np.zeros((2, 4))), [[0, 1, 0]] * 2)


def test_predicting_needs_no_scikit_learn(tmp_path):
    x, y = clouds(3)
    for kind in models.registry:
        models.save(models.create(kind, 3, **KEYWORDS.get(kind, {})).fit(x, y), tmp_path / kind)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, pathlib, numpy as np\nfrom tonearm import models\nx = np.load('x.npy')\n"
        "[models.load(p).predict_proba(x) for p in pathlib.Path().iterdir() if p.suffix != '.npy']\n"
        "print([m for m in ('sklearn', 'scipy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_scaling_is_what_svm_and_knn_live_by():
    """The mistake of the reports, measured: one loud column hides the others."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 300)
    x = np.column_stack([y + draw.normal(scale=0.2, size=300), draw.normal(scale=1e4, size=300)])
    for kind in ("knn", "svm"):
        right = {}
        for scale in ("standard", "none"):
            model = models.create(kind, 2, scale=scale).fit(x[:200], y[:200])
            right[scale] = (model.predict_proba(x[200:]).argmax(axis=1) == y[200:]).mean()
        assert right["standard"] > 0.95
        assert right["none"] < 0.7


def test_log_columns_are_taken_before_scaling():
    draw = np.random.default_rng(0)
    x, y = np.abs(draw.normal(size=(60, 2))) * 100, draw.integers(0, 2, 60)
    logged = x.copy()
    logged[:, 1] = np.log(x[:, 1])
    found = models.create("logistic", 2, log_columns=[1]).fit(x, y).predict_proba(x)
    expected = models.create("logistic", 2).fit(logged, y).predict_proba(logged)
    np.testing.assert_allclose(found, expected)


def test_what_is_wrong_is_said():
    x, y = clouds(3)
    model = models.create("logistic", 3)
    with pytest.raises(UsageError, match="learnt nothing"):
        model.predict_proba(x)
    with pytest.raises(UsageError, match="did you mean 'strength'"):
        models.create("logistic", 3, strenght=1.0)
    with pytest.raises(UsageError, match="unknown model 'svn'"):
        models.create("svn", 3)
    with pytest.raises(UsageError, match="unknown scale"):
        models.create("svm", 3, scale="minmax")
    with pytest.raises(UsageError, match="unknown kernel"):
        models.create("svm", 3, kernel="cubic")
    for kind, keyword, value, told in (
        ("svm", "cost", "abc", "number above 0"), ("svm", "cost", 0, "number above 0"),
        ("svm", "width", -1.0, "number above 0"), ("knn", "neighbours", 2.5, "whole number above 0"),
        ("knn", "neighbours", True, "whole number above 0"), ("logistic", "strength", float("nan"), "number above 0"),
        ("lda", "shrinkage", 1.5, "number from 0 to 1"), ("forest", "trees", None, "whole number above 0"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=f"{keyword} must be a {told}"):
            models.create(kind, 3, **{keyword: value})
    assert models.create("svm", 3, width=None, cost=2).estimator.cost == 2
    assert models.create("lda", 3, shrinkage=0).estimator.shrinkage == 0
    with pytest.raises(UsageError, match="160 rows but 159 labels"):
        model.fit(x, y[1:])
    with pytest.raises(UsageError, match="class indices from 0 to 2"):
        model.fit(x, y + 1)
    with pytest.raises(TonearmError, match="nothing to learn"):
        model.fit(x[:0], y[:0])
    bad = x.copy()
    bad[7, 2] = np.nan
    with pytest.raises(TonearmError, match="1 rows hold NaN or infinity, the first: 7"):
        model.fit(bad, y)
    model.fit(x, y)
    with pytest.raises(UsageError, match="12 columns, these rows have 11"):
        model.predict_proba(x[:, 1:])
    with pytest.raises(UsageError, match="9 neighbours of 5 rows"):
        models.create("knn", 3, neighbours=9).fit(x[:5], y[:5])


def _pickled() -> bytes:
    file = io.BytesIO()
    about = np.frombuffer(json.dumps({"format": "classical-model/1"}).encode(), np.uint8)
    np.savez(file, about=about, x=np.array([object()], dtype=object))
    return file.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"not a model", pickle.dumps({"a": 1}), _pickled(), _pickled()[:200]], ids=range(5)
)
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "x.model"
    path.write_bytes(content)
    with pytest.raises(TonearmError, match="not a model of tonearm"):
        models.load(path)
    with pytest.raises(TonearmError, match="no such file"):
        models.load(tmp_path / "none.model")
