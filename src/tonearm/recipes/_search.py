"""What `search` of a recipe may say: the settings that tuning may change, and between what.

search:
  training.learning_rate: {low: 0.0001, high: 0.01, log: true}
  model.dropout: {low: 0.0, high: 0.5, step: 0.1}
  model.kernel_size: [3, 5, 7]
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tonearm.errors import UsageError, unknown_name

SECTIONS = ("clip", "deep", "feature", "model", "training", "vector")
KEYS = ("low", "high", "log", "step")


@dataclass(frozen=True)
class Choice:
    """One of some values, which may be lists or mappings."""

    values: tuple[Any, ...]

    def config(self) -> list[Any]:
        return list(self.values)


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included: whole where both are, by `step` or evenly in its logarithm."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    def config(self) -> dict[str, Any]:
        more = {"log": True} if self.log else {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **more}


def spaces(search: Mapping[str, Any], where: str) -> dict[str, Choice | Range]:
    """The search of a recipe, checked key by key."""
    return {path: _space(_path(path, where), value, where) for path, value in search.items()}


def _path(path: str, where: str) -> str:
    section, dot, key = str(path).partition(".")
    if section not in SECTIONS:
        raise unknown_name(f"section in {where}: search:", section, SECTIONS)
    if not dot or not key:
        raise UsageError(
            f"{where}: search: {path}: a setting is section.key", hint="for example training.learning_rate"
        )
    return path


def _space(path: str, value: Any, where: str) -> Choice | Range:
    told = f"{where}: search: {path}"
    if isinstance(value, (list, tuple)):
        seen = {json.dumps(one, sort_keys=True, default=str) for one in value}
        if len(seen) < 2 or len(seen) < len(value):
            raise UsageError(f"{told}: wants two or more different values, not {list(value)}")
        return Choice(tuple(value))
    if not isinstance(value, Mapping):
        raise UsageError(
            f"{told}: a list of values or {{low, high}}, not {value!r}",
            hint="[3, 5, 7] or {low: 0.1, high: 10, log: true}",
        )
    for key in value:
        if key not in KEYS:
            raise unknown_name(f"key in {told}:", key, KEYS)
    low, high, log, step = (value.get(key) for key in KEYS)
    for key, number in (("low", low), ("high", high), ("step", step)):
        # YAML reads 1e-4 as text: it wants 1.0e-4.
        if (number is None and key != "step") or not isinstance(number, (int, float, type(None))):
            raise UsageError(f"{told}: {key} is a number, not {number!r}", hint="1.0e-4 and not 1e-4 in YAML")
        if isinstance(number, bool):
            raise UsageError(f"{told}: {key} is a number, not {number}")
    if not low < high:
        raise UsageError(f"{told}: low {low} is not below high {high}")
    if log not in (None, True, False):
        raise UsageError(f"{told}: log is true or false, not {log!r}")
    if log and (low <= 0 or step is not None):
        raise UsageError(f"{told}: a logarithm wants low above 0 and no step")
    if step is not None and not 0 < step <= high - low:
        raise UsageError(f"{told}: step {step} is not above 0 and up to {high - low}")
    return Range(low, high, bool(log), step)
