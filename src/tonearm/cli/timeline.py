"""`tonearm timeline`: the genre over the length of a song or a mix."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.errors import TonearmError, UsageError


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A sound file of any length.")],
    model: Annotated[
        str, typer.Option(metavar="M", help="A name that `tonearm models` lists, or the path of a model file.")
    ] = "fma",
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw it as a picture, too.")] = None,
    step_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="An answer every so many seconds; a third of a window unless given.")
    ] = None,
    clip_seconds: Annotated[
        float | None, typer.Option(min=0.5, max=600, help="Hear so much for each answer; 30 unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for programs.")] = False,
) -> None:
    """Show the genre over the length of a sound, as a strip of colour and as a picture.

    The sound is heard from beginning to end in windows that overlap, in memory that does not grow with it.
    """
    from tonearm import runtime

    if png is not None and png.suffix.lower() != ".png":
        raise UsageError(f"{png}: a picture is written as PNG", hint="--png timeline.png")
    chosen = runtime.load(model)
    found = chosen.timeline(file, step_seconds=step_seconds, clip_seconds=clip_seconds)
    if png is not None:
        _write(png, found)
    if as_json:
        print(json.dumps(found.to_json()))
        return
    _show(found)
    if png is not None:
        print(f"picture: {png}", file=sys.stderr)


def _show(timeline: Any) -> None:
    from tonearm.cli._sounds import short
    from tonearm.cli._strip import clock, strip

    colours = genre_colours(len(timeline.genres)) if _in_colour() else []
    blocks = _can_print("█▒")
    width = min(shutil.get_terminal_size((80, 24)).columns, 160)
    print(f"{short(timeline.path or '-')}  {clock(timeline.seconds)}  model {timeline.model}")
    for line in strip(timeline, width=width, colours=colours, blocks=blocks):
        print(line)


def genre_colours(count: int) -> list[str]:
    """#rrggbb for so many genres, the same in the terminal and in every page and picture."""
    from tonearm.reports._palette import LIGHT, genre_color

    return [LIGHT[genre_color(number).removeprefix("--")] for number in range(count)]


def _in_colour() -> bool:
    """Only for a terminal that shows it, and not against the reader's wish (no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _write(path: Path, timeline: Any) -> None:
    from tonearm.cli._picture import picture

    content = picture(timeline, genre_colours(len(timeline.genres)))
    try:
        path.write_bytes(content)
    except OSError as error:
        raise TonearmError(f"{path}: {error.strerror or error}", hint="choose another place", code="write") from None
