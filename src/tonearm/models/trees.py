"""Ensembles of trees, kept as arrays of nodes and walked by all rows at once."""

from __future__ import annotations

import numpy as np

from tonearm.models._classical import Arrays, classical, sklearn_module, softmax, spread


def _walk(learnt: Arrays, root: int, x: np.ndarray) -> np.ndarray:
    """The leaf, as a node number, that each row of x (n, columns) ends in."""
    at = np.full(len(x), root)
    rows = np.arange(len(x))
    while len(rows):
        node = at[rows]
        rows = rows[learnt["left"][node] >= 0]
        node = at[rows]
        goes_left = x[rows, learnt["column"][node]] <= learnt["threshold"][node]
        at[rows] = np.where(goes_left, learnt["left"][node], learnt["right"][node])
    return at


def _joined(trees: list[Arrays]) -> Arrays:
    """Nodes of all trees behind each other; children are numbers in the whole, -1 in leaves; `roots` begin trees."""
    sizes = [len(tree["column"]) for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    joined = {name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]}
    offset = np.repeat(roots, sizes)
    for side in ("left", "right"):
        joined[side] = np.where(joined[side] >= 0, joined[side] + offset, -1)
    return {**joined, "roots": roots}


@classical("forest")
class Forest:
    """Random forest (Breiman 2001); the probability is the mean of the leaves' shares."""

    trees: int = 300
    least_leaf: int = 1

    def fit(self, x: np.ndarray, y: np.ndarray, n_classes: int, *, seed: int, weights: np.ndarray | None) -> Arrays:
        cls = sklearn_module("ensemble").RandomForestClassifier
        model = cls(self.trees, min_samples_leaf=self.least_leaf, random_state=seed).fit(x, y, sample_weight=weights)
        trees = []
        for tree in (member.tree_ for member in model.estimators_):
            share = tree.value[:, 0, :]
            trees.append(
                {
                    "column": np.maximum(tree.feature, 0),
                    "threshold": tree.threshold,
                    "left": tree.children_left,
                    "right": tree.children_right,
                    "share": share / share.sum(axis=1, keepdims=True),
                }
            )
        return {**_joined(trees), "present": model.classes_, "n_classes": np.array(n_classes)}

    def probabilities(self, learnt: Arrays, x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float32)  # the trees were grown on float32: a threshold may fall between the two
        total = sum(learnt["share"][_walk(learnt, root, x)] for root in learnt["roots"])
        return spread(total / len(learnt["roots"]), learnt["present"], int(learnt["n_classes"]))


@classical("boosting")
class Boosting:
    """Gradient boosting over histograms (the method of LightGBM, Ke et al. 2017)."""

    rounds: int = 100
    learning_rate: float = 0.1
    most_leaves: int = 31

    def fit(self, x: np.ndarray, y: np.ndarray, n_classes: int, *, seed: int, weights: np.ndarray | None) -> Arrays:
        present = np.unique(y)
        kept = {"present": present, "n_classes": np.array(n_classes)}
        if len(present) == 1:
            return kept
        cls = sklearn_module("ensemble").HistGradientBoostingClassifier
        model = cls(
            max_iter=self.rounds,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.most_leaves,
            early_stopping=False,
            random_state=seed,
        ).fit(x, y, sample_weight=weights)
        # scikit-learn has no public way to its nodes; the test holds this against predict_proba.
        trees = [_histogram_tree(tree.nodes) for round_ in model._predictors for tree in round_]
        return {**kept, **_joined(trees), "baseline": np.ravel(model._baseline_prediction)}

    def probabilities(self, learnt: Arrays, x: np.ndarray) -> np.ndarray:
        present, n_classes = learnt["present"], int(learnt["n_classes"])
        if len(present) == 1:
            return spread(np.ones((len(x), 1)), present, n_classes)
        scores = np.tile(learnt["baseline"], (len(x), 1))
        for number, root in enumerate(learnt["roots"]):
            scores[:, number % scores.shape[1]] += learnt["value"][_walk(learnt, root, x)]
        if scores.shape[1] == 1:  # two classes have one score, for the second
            scores = np.hstack([np.zeros_like(scores), scores])
        return spread(softmax(scores), present, n_classes)


def _histogram_tree(nodes: np.ndarray) -> Arrays:
    leaf = nodes["is_leaf"].astype(bool)
    return {
        "column": nodes["feature_idx"].astype(np.int64),
        "threshold": nodes["num_threshold"].astype(np.float64),
        "left": np.where(leaf, -1, nodes["left"].astype(np.int64)),
        "right": np.where(leaf, -1, nodes["right"].astype(np.int64)),
        "value": nodes["value"].astype(np.float64),
    }
