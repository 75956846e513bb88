"""Where many files are worked on."""

from __future__ import annotations

from collections.abc import Callable

from tonearm.registry import Registry

# An engine is a function `run(function, items, *, workers, timeout_seconds) -> iterator of Outcome`.
registry: Registry[Callable] = Registry("engine", "tonearm.engines")

__all__ = ["registry"]
