"""`tonearm plot`: one file as a picture."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tonearm.reports._draw import Drawing

WIDTH = 480.0


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sound file.")],
    what: Annotated[
        str,
        typer.Option(
            help="Some of waveform, zcr, spectrogram, logspectrogram, mel, mfcc, chroma, tempo, by commas; or all."
        ),
    ] = "waveform,mel",
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture: .svg, or .png (needs Pillow).")] = Path(
        "plot.svg"
    ),
    start: Annotated[float, typer.Option(min=0.0, help="Begin here, in seconds.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Draw so much; left out: to the end.")] = None,
    title: Annotated[str | None, typer.Option(help="A line above the picture; left out: the file's name.")] = None,
) -> None:
    """Draw a sound file: waveform, spectra, cepstra, pitch classes, tempo."""
    from tonearm import audio
    from tonearm.errors import UsageError
    from tonearm.reports import _views
    from tonearm.reports._write import check_place, write

    check_place(output, ".svg", ".png")
    if seconds == 0:
        raise UsageError("0 seconds of sound have no picture", hint="leave out --seconds to draw to the end")
    names = [name.strip() for name in what.split(",") if name.strip()]
    names = list(_views.VIEWS) if names == ["all"] else names
    _views.check(names)
    waveform = audio.load(file, start_seconds=start, clip_seconds=seconds)
    for warning in waveform.warnings:
        print(f"tonearm: {file}: {warning}", file=sys.stderr)
    if waveform.silent:
        print(f"tonearm: {file}: it is silent", file=sys.stderr)
    name = os.fsencode(file.name).decode("utf-8", "replace") if title is None else title
    drawing = _views.drawn(waveform, names, title=name, start_seconds=start, width=WIDTH, headed=True)
    write(output, _written(drawing, output))
    print(output)


def _written(drawing: Drawing, output: Path) -> str | bytes:
    if output.suffix.lower() == ".svg":
        return drawing.svg(alone=True) + "\n"
    from tonearm.reports._raster import png

    return png(drawing)
