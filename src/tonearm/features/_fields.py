"""What a keyword of a feature may be: each field says its meaning and refuses what makes no sense.

By hand and not with pydantic: a feature is made in every worker and every light command, and importing pydantic costs
more than the whole computation of a clip.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from tonearm.errors import UsageError

Check = Callable[[Any], Any]


def _field(default: Any, meaning: str, check: Check) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "check": check})


class Refused(Exception):
    """Why a value is refused, as the end of a sentence: "n_mels must be ..."."""


def whole(default: int | None, meaning: str, *, least: int = 1, most: int = 1 << 20, optional: bool = False) -> Any:
    """A whole number from `least` to `most`, which no sensible value reaches; None too where `optional`."""

    def check(value: Any) -> int | None:
        if value is None and optional:
            return None
        number = _number(value)
        if number is None or number != int(number) or not least <= number <= most:
            raise Refused(f"a whole number from {least} to {most}" + (" or null" if optional else ""))
        return int(number)

    return _field(default, meaning, check)


def real(
    default: float | None,
    meaning: str,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    optional: bool = False,
) -> Any:
    """A finite number with `least <= number`, `above < number < below`; None too where `optional`."""

    def check(value: Any) -> float | None:
        if value is None and optional:
            return None
        number = _number(value)
        if number is None or number < least or number <= above or number >= below:
            bounds = [f"of at least {least:g}"] * (least > -math.inf)
            bounds += [f"above {above:g}"] * (above > -math.inf) + [f"below {below:g}"] * (below < math.inf)
            raise Refused(" ".join(["a number", " and ".join(bounds)]).strip() + (" or null" if optional else ""))
        return number

    return _field(default, meaning, check)


def choice(default: str, meaning: str, valid: tuple[str, ...]) -> Any:
    """One of some words."""

    def check(value: Any) -> str:
        if value not in valid:
            raise Refused(f"one of {', '.join(valid)}")
        return value

    return _field(default, meaning, check)


def flag(default: bool, meaning: str) -> Any:
    """True or false."""

    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise Refused("true or false")
        return value

    return _field(default, meaning, check)


def checked(default: Any, meaning: str, check: Check) -> Any:
    """Anything that `check` returns; it raises `Refused` with the end of the sentence "... must be ..."."""
    return _field(default, meaning, check)


def run_checks(thing: Any) -> None:
    """Check every field of a frozen dataclass and keep what the check returns (4096.0 becomes 4096)."""
    for field in dataclasses.fields(thing):
        check = field.metadata.get("check")
        if check is None:
            continue
        value = getattr(thing, field.name)
        try:
            object.__setattr__(thing, field.name, check(value))
        except Refused as refused:
            raise UsageError(f"{field.name} of {thing.kind!r} must be {refused}, not {value!r}") from None


def _number(value: Any) -> float | None:
    """The value as a finite float, or None: text and booleans are no numbers."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
