"""Options that several commands of training share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str, typer.Option(metavar="PATH_OR_PACK", help="A pack, or a dataset: gtzan:PATH, folder:PATH, synth, a path.")
]
Adapt = Annotated[
    bool, typer.Option("--adapt", help="Where the pack lacks something, use the nearest; the result is marked.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of torch; all cores unless given.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")]


def interrupted(folder: Path) -> typer.Exit:
    """Say what is kept and how to go on; the exit that follows."""
    from tonearm import runs

    rows = runs.read_curves(folder) if runs.is_run(folder) else []
    after = f" after epoch {rows[-1]['epoch']:.0f}" if rows else ""
    print(
        f"\nstopped{after}; what is done is kept in {folder}\n  the same command goes on, with the same numbers",
        file=sys.stderr,
    )
    return typer.Exit(130)
