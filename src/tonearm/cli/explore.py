"""`tonearm explore`: a dataset or a pack as one page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    what: Annotated[
        str, typer.Argument(metavar="DATASET_OR_PACK", help="A dataset as `tonearm data` names it, or a pack.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("explore.html"),
    audio: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The sound of a pack: files named by id.")
    ] = None,
    tracks: Annotated[
        int, typer.Option(min=3, help="Listen to at most so many files, as even over the genres as they allow.")
    ] = 2000,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; all cores unless given.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make one page of a dataset: counts, lengths, examples of genres, features, a map of tracks."""
    from tonearm.cli.audit import _Progress
    from tonearm.reports._write import check_place, write
    from tonearm.reports.dataset_page import dataset_page

    check_place(output, ".html", ".htm")
    page = dataset_page(
        what,
        audio=audio,
        tracks=tracks,
        workers=workers,
        base=output.resolve().parent,
        **({} if quiet else {"progress": _Progress()}),
    )
    if not quiet and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    write(output, page)
    print(output)
