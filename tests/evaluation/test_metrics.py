"""Every figure equals scikit-learn's, on random and on degenerate input."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from tonearm.errors import TonearmError
from tonearm.evaluation import metrics


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_accuracy_and_balanced_accuracy(case):
    truth, probabilities = case
    answers = probabilities.argmax(axis=1)
    assert metrics.accuracy(truth, probabilities) == pytest.approx(reference.accuracy_score(truth, answers))
    balanced = metrics.balanced_accuracy(truth, probabilities)
    assert balanced == pytest.approx(reference.balanced_accuracy_score(truth, answers))


def test_confusion_counts_and_rows(case):
    truth, probabilities = case
    labels = range(probabilities.shape[1])
    counts = metrics.confusion(truth, probabilities)
    answers = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(counts, reference.confusion_matrix(truth, answers, labels=labels))
    rows = metrics.confusion_rows(counts)
    expected = reference.confusion_matrix(truth, answers, labels=labels, normalize="true")
    np.testing.assert_allclose(np.nan_to_num(rows), expected)
    assert (np.isnan(rows).all(axis=1) == (np.bincount(truth, minlength=len(labels)) == 0)).all()


def test_precision_recall_f1_per_class(case):
    truth, probabilities = case
    table = metrics.per_class(truth, probabilities)
    answers = probabilities.argmax(axis=1)
    expected = reference.precision_recall_fscore_support(
        truth, answers, labels=range(probabilities.shape[1]), zero_division=0
    )
    for ours, theirs in zip((table.precision, table.recall, table.f1, table.n), expected, strict=True):
        np.testing.assert_allclose(np.nan_to_num(ours), theirs)
    # Where scikit-learn writes 0 for what is not defined, NaN stands here, and nowhere else.
    np.testing.assert_array_equal(np.isnan(table.recall), table.n == 0)
    np.testing.assert_array_equal(np.isnan(table.f1), (table.n == 0) & (table.predicted == 0))


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_means_over_classes(case, average):
    truth, probabilities = case
    found = getattr(metrics, average)(metrics.per_class(truth, probabilities))
    expected = reference.precision_recall_fscore_support(
        truth, probabilities.argmax(axis=1), average=average, zero_division=0
    )
    for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
        assert found[name] == pytest.approx(value), name


def test_top_k(case):
    truth, probabilities = case
    n_classes = probabilities.shape[1]
    for k in range(1, n_classes + 1):
        # Of equals scikit-learn takes the last and argmax the first: in columns turned round they agree.
        turned = probabilities[:, ::-1]
        if n_classes == 2:  # it wants scores of one class there, and knows only k = 1
            expected = 1.0 if k == 2 else reference.accuracy_score(truth, probabilities.argmax(axis=1))
        else:
            labels = np.arange(n_classes)
            expected = reference.top_k_accuracy_score(n_classes - 1 - truth, turned, k=k, labels=labels)
        assert metrics.top_k_accuracy(truth, probabilities, k) == pytest.approx(expected), k
    assert metrics.top_k_accuracy(truth, probabilities, 1) == metrics.accuracy(truth, probabilities)


@pytest.mark.parametrize("k", [0, -1, 8])
def test_top_k_refuses_what_is_no_k(draw, k):
    with pytest.raises(TonearmError, match="not defined"):
        metrics.top_k_accuracy(*draw(20, 7), k)


def test_roc_auc(case):
    truth, probabilities = case
    areas = metrics.roc_auc(truth, probabilities)
    for index, area in enumerate(areas):
        positive = truth == index
        if positive.all() or not positive.any():
            assert math.isnan(area)
        else:
            assert area == pytest.approx(reference.roc_auc_score(positive, probabilities[:, index]))
    if not np.isnan(areas).any() and len(areas) > 2:
        expected = reference.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
        assert metrics.mean_defined(areas) == pytest.approx(expected)
    if np.isnan(areas).all():
        assert math.isnan(metrics.mean_defined(areas))


def test_average_precision(case):
    truth, probabilities = case
    for index, score in enumerate(metrics.average_precision(truth, probabilities)):
        positive = truth == index
        if positive.any():
            assert score == pytest.approx(reference.average_precision_score(positive, probabilities[:, index]))
        else:
            assert math.isnan(score)


def test_log_loss(case):
    truth, probabilities = case
    expected = reference.log_loss(truth, probabilities, labels=np.arange(probabilities.shape[1]))
    assert metrics.log_loss(truth, probabilities) == pytest.approx(expected)


def test_float32_probabilities_are_taken(draw):
    truth, probabilities = draw(200, 10)
    assert metrics.accuracy(truth, probabilities.astype(np.float32)) == metrics.accuracy(truth, probabilities)
    assert metrics.log_loss(truth, probabilities.astype(np.float32)) == pytest.approx(
        metrics.log_loss(truth, probabilities), rel=1e-6
    )


def test_many_random_tables(draw):
    for seed in range(40):
        generator = np.random.default_rng(seed)
        n, n_classes = int(generator.integers(1, 60)), int(generator.integers(3, 12))
        truth, probabilities = draw(n, n_classes, seed)
        answers = probabilities.argmax(axis=1)
        table = metrics.per_class(truth, probabilities)
        expected = reference.f1_score(truth, answers, average="macro", zero_division=0)
        assert metrics.macro(table)["f1"] == pytest.approx(expected), seed
        balanced = metrics.balanced_accuracy(truth, probabilities)
        assert balanced == pytest.approx(reference.balanced_accuracy_score(truth, answers)), seed
