"""Where tonearm keeps things of its own, by the convention of each platform.

By hand because it is nine lines: a dependency for it would be longer to install than to read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _base(variable: str, linux: str, mac: str, windows: str) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac / "tonearm"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tonearm" / windows
    return Path(os.environ.get(variable) or Path.home() / linux) / "tonearm"


def cache_folder() -> Path:
    """Things that can be made again. `TONEARM_CACHE` moves it. Not created here."""
    return Path(os.environ.get("TONEARM_CACHE") or _base("XDG_CACHE_HOME", ".cache", "Caches", "cache"))


def data_folder() -> Path:
    """Things that cannot be made again: models the user added, the library. `TONEARM_DATA` moves it."""
    return Path(os.environ.get("TONEARM_DATA") or _base("XDG_DATA_HOME", ".local/share", "Application Support", "data"))


def models_folder() -> Path:
    """Where models that do not come with the package lie."""
    return data_folder() / "models"


def library_file() -> Path:
    """The music library's file. `TONEARM_LIBRARY` moves it."""
    return Path(os.environ.get("TONEARM_LIBRARY") or data_folder() / "library.sqlite")
