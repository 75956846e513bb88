"""Many trainings as one answer: runs compared, recipes taken apart, learning curves, settings tuned."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tonearm.experiments._ablate import ablate, parse_vary
    from tonearm.experiments._compare import compare
    from tonearm.experiments._curve import curve, parse_at
    from tonearm.experiments._space import parse_search
    from tonearm.experiments._tune import tune

# Comparing needs no more than numpy; what trains is imported when it is first asked for.
_LATER = {
    "ablate": "_ablate",
    "compare": "_compare",
    "curve": "_curve",
    "parse_at": "_curve",
    "parse_search": "_space",
    "parse_vary": "_ablate",
    "tune": "_tune",
}

__all__ = ["ablate", "compare", "curve", "parse_at", "parse_search", "parse_vary", "tune"]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
