"""`tonearm report`: a run as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder, or the folder of the seeds or folds of one recipe.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; left out: report.html in the run's folder.")
    ] = None,
    audio: Annotated[
        str | None,
        typer.Option(metavar="FOLDER_OR_DATASET", help="Where the sound lies: files named by id, or a dataset."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="PACK", help="The run's pack, where it no longer lies where it was.")
    ] = None,
) -> None:
    """Make one page of a run: what was done, figures, curves, confusions, mistakes, cost."""
    from tonearm.reports._write import check_place, write
    from tonearm.reports.run_page import run_page

    output = output or run / "report.html"
    if run.is_dir():
        check_place(output, ".html", ".htm")
    write(output, run_page(run, data=data, audio=audio))
    print(output)
