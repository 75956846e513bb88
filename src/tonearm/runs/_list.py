"""Which runs lie in a folder, and what each is about."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.runs._files import read_json

# What a list shows of the figures of a part.
SHOWN = ("unit", "n", "accuracy", "interval", "f1_macro")


def unit_of(metrics: dict[str, Any], part: str) -> str:
    """Which figures of a part are the run's own: tracks, or segments where a leaky split dealt those.

    Votes joined over some pieces of a song, of which others were learnt, are a figure that nobody published.
    """
    return "segments" if metrics["leaky"] and "segments" in metrics["parts"][part] else "tracks"


def is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file()


def find(folders: Iterable[str | Path]) -> Iterator[Path]:
    """The run folders in and below the named ones, sorted by path."""
    for folder in folders:
        folder = Path(folder)
        if not folder.is_dir():
            raise TonearmError(f"{folder}: there is no such folder", code="missing")
        for at, below, files in os.walk(folder):
            below.sort()
            if "run.json" in files:
                below.clear()
                yield Path(at)


def describe(folder: Path) -> dict[str, Any]:
    """One run in a row: recipe, data, protocol, seed, how far it is, and its figures with n and interval."""
    try:
        about = read_json(folder / "run.json")
        row = {
            "run": str(folder),
            "recipe": about["recipe"],
            "data": about["data"]["name"],
            "protocol": about["protocol"],
            "leaky": about["leaky"],
            "seed": about["seed"],
            "fold": about.get("fold") or None,
            "status": about["status"],
            "adapted": about["adapted"],
            "quick": about.get("quick", False),
            "seconds": about.get("seconds"),
            "parameters": about.get("parameters"),
            "error": about.get("error"),
            "figures": {},
        }
        if about["status"] == "finished":
            metrics = read_json(folder / "metrics.json")
            row["chosen_on"] = metrics["chosen_on"]
            row["figures"] = {
                part: {key: units[unit_of(metrics, part)][key] for key in SHOWN}
                for part, units in metrics["parts"].items()
            }
    except (TonearmError, KeyError, TypeError, AttributeError) as error:
        reason = error.message if isinstance(error, TonearmError) else f"not a whole run: {error!r}"
        return {"run": str(folder), "status": "unreadable", "error": {"code": "unreadable", "message": reason}}
    return row
