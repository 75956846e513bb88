"""One contract for all classical models: fitted by scikit-learn, kept as arrays, asked with numpy alone.

So a fitted model needs no scikit-learn to predict, and nothing is ever pickled.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.registry import Registry

Arrays = dict[str, np.ndarray]
SCALES = ("standard", "none")


class Estimator(Protocol):
    """What a file of this folder defines: a frozen dataclass whose fields are its keywords."""

    kind: ClassVar[str]

    def fit(self, x: np.ndarray, y: np.ndarray, n_classes: int, *, seed: int, weights: np.ndarray | None) -> Arrays:
        """Learn from x (n, columns), float64 and scaled, and y (n,), class indices. Returns all that was learnt."""
        ...

    def probabilities(self, learnt: Arrays, x: np.ndarray) -> np.ndarray:
        """Probabilities (n, n_classes) for x (n, columns), from what `fit` returned."""
        ...


registry: Registry[type[Estimator]] = Registry("model", "tonearm.models")


def classical(kind: str) -> Callable[[type], type]:
    """Make a class an estimator of that name: a frozen dataclass with keywords only, in the registry."""

    def register(cls: type) -> type:
        cls.kind = kind
        return registry.add(kind)(dataclasses.dataclass(frozen=True, kw_only=True)(cls))

    return register


@dataclasses.dataclass
class Classical:
    """An estimator with what stands before it: the scaler, and the logarithm of columns that are spread like powers.

    `scale` "none" is there because published systems forgot it; it costs SVM and KNN 30 to 50 points.
    """

    estimator: Estimator
    n_classes: int
    scale: str = "standard"
    log_columns: tuple[int, ...] = ()
    learnt: Arrays = dataclasses.field(default_factory=dict)

    @property
    def fitted(self) -> bool:
        return bool(self.learnt)

    def fit(self, x: np.ndarray, y: np.ndarray, *, seed: int = 0, weights: np.ndarray | None = None) -> Classical:
        """Learn from rows x (n, ...) and class indices y (n,); equal seeds give equal models."""
        x, y = self._rows(x), np.asarray(y)
        if len(x) != len(y):
            raise UsageError(f"{len(x)} rows but {len(y)} labels")
        if len(x) == 0:
            raise TonearmError("there is nothing to learn from", hint="the training part is empty", code="empty-part")
        if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= self.n_classes:
            raise UsageError(f"labels must be class indices from 0 to {self.n_classes - 1}")
        mean, deviation = np.zeros(x.shape[1]), np.ones(x.shape[1])
        if self.scale == "standard":
            mean, deviation = x.mean(axis=0), x.std(axis=0)
            deviation[deviation == 0] = 1.0  # a column that never changes says nothing; do not divide by it
        learnt = self.estimator.fit((x - mean) / deviation, y, self.n_classes, seed=seed, weights=weights)
        self.learnt = {"scaler_mean": mean, "scaler_deviation": deviation, **learnt}
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (n, n_classes), float64, rows that sum to one."""
        if not self.fitted:
            raise UsageError("the model has learnt nothing yet", hint="fit it, or load one that was fitted")
        x = self._rows(x)
        wanted = len(self.learnt["scaler_mean"])
        if x.shape[1] != wanted:
            raise UsageError(f"the model learnt from {wanted} columns, these rows have {x.shape[1]}")
        scaled = (x - self.learnt["scaler_mean"]) / self.learnt["scaler_deviation"]
        return self.estimator.probabilities(self.learnt, scaled)

    def config(self) -> dict[str, Any]:
        """Kind and every keyword, in plain types; `create` reads it back."""
        own = {"scale": self.scale, "log_columns": list(self.log_columns)}
        return {"kind": self.estimator.kind, **dataclasses.asdict(self.estimator), **own}

    def _rows(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        x = x.reshape(len(x), int(np.prod(x.shape[1:]))).astype(np.float64)
        if not np.isfinite(x).all():
            bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
            shown = ", ".join(map(str, bad[:5]))
            raise TonearmError(f"{len(bad)} rows hold NaN or infinity, the first: {shown}", code="not-finite")
        if self.log_columns:
            columns = list(self.log_columns)
            if max(columns) >= x.shape[1]:
                raise UsageError(f"log_columns names column {max(columns)}, there are {x.shape[1]}")
            x[:, columns] = np.log(np.maximum(x[:, columns], 1e-10))
        return x


def create(
    kind: str, n_classes: int, *, scale: str = "standard", log_columns: tuple = (), **keywords: Any
) -> Classical:
    """The model of that name with those keywords; what is not named has its default."""
    cls = registry.get(kind)
    valid = {field.name: str(field.type) for field in dataclasses.fields(cls)}
    for name, value in keywords.items():
        if name not in valid:
            raise unknown_name(f"keyword of the model {kind!r}:", name, [*valid, "scale", "log_columns"])
        _check_number(name, value, valid[name])
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    if n_classes < 2:
        raise UsageError(f"a model tells at least 2 classes apart, not {n_classes}")
    return Classical(cls(**keywords), n_classes, scale, tuple(int(column) for column in log_columns))


def _check_number(name: str, value: Any, wanted: str) -> None:
    """Refuse what is no number where the field of an estimator is one; all of them are above 0, or a share."""
    kind, _, none = wanted.partition(" | ")
    if kind not in ("int", "float") or (none and value is None):
        return
    number = isinstance(value, int if kind == "int" else (int, float)) and not isinstance(value, bool)
    share = name == "shrinkage"
    if not number or not (0 <= value <= 1 if share else 0 < value < math.inf):
        whole, bound = "whole " if kind == "int" else "", "from 0 to 1" if share else "above 0"
        raise UsageError(f"{name} must be a {whole}number {bound}, not {value!r}")


def sklearn_module(name: str) -> Any:
    """A module of scikit-learn, or the sentence that says how to get it."""
    import importlib

    try:
        return importlib.import_module(f"sklearn.{name}")
    except ImportError:
        raise TonearmError(
            "fitting a classical model needs scikit-learn", hint='pip install "tonearm[audit]"', code="needs-extra"
        ) from None


def spread(some: np.ndarray, present: np.ndarray, n_classes: int) -> np.ndarray:
    """Probabilities of the classes that training saw, (n, k), as columns of all classes, (n, n_classes)."""
    full = np.zeros((len(some), n_classes))
    full[:, present] = some
    return full


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
