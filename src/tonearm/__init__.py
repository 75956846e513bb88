"""tonearm tells the genre of music, and tells the truth about how well it does so.

Nothing heavy is imported here: rooms are imported by name (`tonearm.audio`, `tonearm.features`, …) when asked for.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_ROOMS = ("audio", "datasets", "engines", "errors", "features", "packs", "paths", "protocols")


def __getattr__(name: str) -> object:
    # `import tonearm` costs nothing; `tonearm.audio` imports the room at first use.
    if name in _ROOMS:
        return importlib.import_module(f"tonearm.{name}")
    raise AttributeError(f"module 'tonearm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
