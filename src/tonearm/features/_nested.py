"""Features that are made of other features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tonearm.errors import UsageError
from tonearm.features import _fields
from tonearm.features.base import Feature, from_config


def description(value: Any) -> Any:
    """A keyword that describes one feature: its kind, its config, or a feature."""
    if isinstance(value, (str, Mapping, Feature)):
        return value
    raise _fields.Refused("a feature: its kind, its config or the thing itself")


def inner(value: str | Mapping[str, Any] | Feature, sample_rate: int | None) -> Feature:
    """The feature that is meant; its rate is that of the feature around it."""
    if not isinstance(value, Feature):
        config = {"kind": value} if isinstance(value, str) else dict(value)
        value = from_config({"sample_rate": sample_rate, **config})
    if value.sample_rate != sample_rate:
        raise UsageError(
            f"{value.kind!r} has the rate {value.sample_rate or 'native'}, what is around it {sample_rate or 'native'}",
            hint="give both the same sample_rate",
        )
    if "frame" not in value.axes:
        raise UsageError(f"{value.kind!r} has no frames", hint="only features of frames can be put together")
    return value
