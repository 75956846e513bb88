"""Many trainings as one answer: runs compared, recipes taken apart, learning curves, settings tuned."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tonearm.experiments._compare import compare

# Comparing needs no more than numpy; what trains is imported when it is first asked for.
_LATER = {"compare": "_compare"}

__all__ = ["compare"]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
