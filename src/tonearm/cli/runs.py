"""`tonearm runs`: what trainings have left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    folder: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Run folders, or folders of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="A list of runs as JSON on standard output.")] = False,
) -> None:
    """List runs with their figures, how far they are, and what failed."""
    from tonearm import runs

    rows = [runs.describe(found) for found in runs.find(folder)]
    if as_json:
        print(json.dumps(rows))
        return
    if not rows:
        print("no runs here")
    for row in rows:
        print(_line(row))


def _line(row: dict[str, Any]) -> str:
    if row["status"] == "unreadable":
        return f"{row['run']}: {row['error']['message']}"
    words = [f"{row['run']}: {row['recipe']} on {row['data']}, {row['protocol']}" + " (leaky)" * row["leaky"]]
    words.append(f"seed {row['seed']}")
    if row["status"] == "finished":
        for part, figures in row["figures"].items():
            low, high = figures["interval"]
            words.append(
                f"{part} {100 * figures['accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] n = {figures['n']}"
            )
    else:
        words.append(row["status"] + (f": {row['error']['message']}" if row["error"] else ""))
    words += [mark for mark in ("adapted", "quick") if row[mark]]
    return ", ".join(words)
