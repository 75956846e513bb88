"""Published systems as recipes: one YAML file each, found by the listing of this folder; and what runs them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tonearm.recipes._load import changed, get, names, parse_set, read
from tonearm.recipes._schema import Claim, Recipe, from_config

if TYPE_CHECKING:
    from tonearm.recipes._many import run_folds, run_seeds
    from tonearm.recipes._material import Material, open_material
    from tonearm.recipes._repeat import repeat, same_numbers
    from tonearm.recipes._reproduce import reproduce
    from tonearm.recipes._run import Options, run
    from tonearm.recipes._trained import predict_with

# Listing recipes stays cheap: what runs them is imported when it is first asked for.
_LATER = {
    "Material": "_material",
    "Options": "_run",
    "open_material": "_material",
    "predict_with": "_trained",
    "repeat": "_repeat",
    "reproduce": "_reproduce",
    "run": "_run",
    "run_folds": "_many",
    "run_seeds": "_many",
    "same_numbers": "_repeat",
}

__all__ = [
    "Claim",
    "Material",
    "Options",
    "Recipe",
    "changed",
    "from_config",
    "get",
    "names",
    "open_material",
    "parse_set",
    "predict_with",
    "read",
    "repeat",
    "reproduce",
    "run",
    "run_folds",
    "run_seeds",
    "same_numbers",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
