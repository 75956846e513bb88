"""Search spaces as a person types them, and as Optuna wants them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tonearm.errors import UsageError
from tonearm.recipes._search import Choice, Range

EXAMPLE = "--search model.cost=0.1..100:log --search model.kernel=rbf,linear"
_PLAIN = (str, int, float, bool, type(None))


def parse_search(texts: Sequence[str]) -> dict[str, Any]:
    """`key=low..high`, `key=low..high:log`, `key=low..high:step` or `key=a,b,c` as a recipe's `search`."""
    import yaml

    found: dict[str, Any] = {}
    for text in texts:
        path, equals, rest = text.partition("=")
        path, rest = path.strip(), rest.strip()
        if not equals or not path or not rest:
            raise UsageError(f"a search is key=low..high or key=a,b,c, not {text!r}", hint=EXAMPLE)
        low, dots, high = rest.partition("..")
        if not dots:
            try:
                found[path] = yaml.safe_load(f"[{rest}]")
            except yaml.YAMLError:
                raise UsageError(f"the values of {path} are not understood: {rest!r}", hint=EXAMPLE) from None
            continue
        high, colon, how = high.partition(":")
        found[path] = {"low": _number(path, low), "high": _number(path, high)}
        if how == "log":
            found[path]["log"] = True
        elif colon:
            found[path]["step"] = _number(path, how)
    return found


def _number(path: str, text: str) -> float:
    """A whole number stays one; unlike YAML, 1e-4 is a number here."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise UsageError(f"{path}: {text!r} is not a number", hint=EXAMPLE)


def suggested(trial: Any, spaces: Mapping[str, Choice | Range]) -> dict[str, Any]:
    """What an Optuna trial tries, by dotted path."""
    found: dict[str, Any] = {}
    for path, space in spaces.items():
        if isinstance(space, Choice):
            found[path] = decoded(space, trial.suggest_categorical(path, [encoded(one) for one in space.values]))
        elif space.whole:
            found[path] = trial.suggest_int(path, space.low, space.high, step=space.step or 1, log=space.log)
        else:
            low, high = float(space.low), float(space.high)
            # Digits behind the sixth decide nothing, and would not fit a line that is typed again.
            value = trial.suggest_float(path, low, high, step=space.step, log=space.log)
            found[path] = min(max(float(f"{value:.6g}"), low), high)
    return found


def encoded(value: Any) -> Any:
    """Optuna's categories are plain values: a list or mapping goes as text."""
    return value if isinstance(value, _PLAIN) else json.dumps(value, sort_keys=True)


def decoded(space: Choice | Range, value: Any) -> Any:
    if isinstance(space, Choice):
        return next((one for one in space.values if encoded(one) == value and type(encoded(one)) is type(value)), value)
    return value


def inside(space: Choice | Range, value: Any) -> bool:
    """Whether a value is one that could be suggested."""
    if isinstance(space, Choice):
        return any(encoded(one) == encoded(value) for one in space.values)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not space.low <= value <= space.high:
        return False
    if space.whole and value != int(value):
        return False
    steps = (value - space.low) / (space.step or (1 if space.whole else 1e-30))
    return space.log or space.step is None or abs(steps - round(steps)) < 1e-9
