"""The folders that trainings leave: written whole, read back, listed."""

from tonearm.runs._files import (
    read_curves,
    read_json,
    read_predictions,
    write_curves,
    write_json,
    write_predictions,
    write_text,
)
from tonearm.runs._list import describe, find, is_run, unit_of
from tonearm.runs._machine import code_version, libraries, machine, peak_memory_mb

__all__ = [
    "code_version",
    "describe",
    "find",
    "is_run",
    "libraries",
    "machine",
    "peak_memory_mb",
    "read_curves",
    "read_json",
    "read_predictions",
    "unit_of",
    "write_curves",
    "write_json",
    "write_predictions",
    "write_text",
]
