"""tonearm tells the genre of music, and tells the truth about how well it does so.

Nothing heavy is imported here: rooms are imported by name (`tonearm.audio`, `tonearm.features`, …) when asked for, and
so is `tonearm.load`, which opens a model: `tonearm.load("fma").predict("song.mp3")`.
"""

from __future__ import annotations

import importlib
import os

# onnxruntime 1.31 writes an identity of the device into the home folder and is made to report on its use. Whoever uses
# tonearm has not agreed to that: off, unless they say otherwise. The variable is read as onnxruntime loads.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

_ROOMS = ("audio", "datasets", "engines", "errors", "features", "packs", "paths", "protocols", "runtime")


def __getattr__(name: str) -> object:
    # `import tonearm` costs nothing; `tonearm.audio` imports the room at first use.
    if name in _ROOMS:
        return importlib.import_module(f"tonearm.{name}")
    if name == "load":
        return importlib.import_module("tonearm.runtime").load
    raise AttributeError(f"module 'tonearm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS, "load"])
