"""Many files, each with an answer or an error, in the order they were named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonearm.errors import TonearmError, UsageError
from tonearm.runtime._listen import path_of
from tonearm.runtime._prediction import Prediction, Problem

if TYPE_CHECKING:
    from tonearm.runtime._model import Model

_loaded: dict[Path, Model] = {}  # of a worker: its model, read once


def predict_many(
    model: Model,
    sources: Iterable[Any],
    *,
    workers: int,
    top: int,
    threshold: float | None,
    timeout: float | None = None,
) -> Iterator[Prediction]:
    """See `Model.predict_many`."""
    if workers < 1:
        raise UsageError(f"workers must be 1 or more, not {workers}")
    if workers == 1 and timeout is None:
        return (_answer(model, source, top, threshold) for source in sources)
    return _spread(model, sources, workers, partial(_work, type(model), model.path, top, threshold), timeout)


def _answer(model: Model, source: Any, top: int, threshold: float | None) -> Prediction:
    try:
        return model.predict(source, top=top, threshold=threshold)
    except UsageError:
        raise  # of the call, not of the file
    except TonearmError as error:
        return failed(model, source, error)


def failed(model: Model, source: Any, error: TonearmError) -> Prediction:
    """A prediction that says why there is none."""
    reason = getattr(error, "reason", error.message)
    return Prediction(path=path_of(source), model=model.name, version=model.version, error=Problem(error.code, reason))


def _work(kind: type, path: Path, top: int, threshold: float | None, source: Any) -> Prediction:
    # Not the caller's model: ONNX Runtime, once started, does not survive a fork for certain.
    if path not in _loaded:
        _loaded[path] = kind(path)
    return _loaded[path].predict(source, top=top, threshold=threshold)


def _spread(
    model: Model, sources: Iterable[Any], workers: int, work: Any, timeout: float | None
) -> Iterator[Prediction]:
    from tonearm.engines import local

    drawn: dict[int, Any] = {}

    def noted() -> Iterator[Any]:
        for index, source in enumerate(sources):
            drawn[index] = source
            yield source

    early: dict[int, Prediction] = {}
    following = 0
    # Closed at once when the caller stops early: its workers end with it.
    with closing(local.run(work, noted(), workers=workers, timeout_seconds=timeout)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome.error, UsageError):
                raise outcome.error
            source = drawn.pop(outcome.index)
            early[outcome.index] = outcome.value if outcome.error is None else failed(model, source, outcome.error)
            while following in early:
                yield early.pop(following)
                following += 1
