"""`tonearm scan`: bring the library up to date with folders of music."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.errors import UsageError

if TYPE_CHECKING:
    from tonearm.library import Report


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER…", help="Folders and files; without any, those that were scanned before."),
    ] = None,
    library: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The library's file, if not the one in tonearm's own data.")
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="M", help="A name that `tonearm models` lists, or the path of a model file.")
    ] = "fma",
    no_predict: Annotated[
        bool, typer.Option("--no-predict", help="Hear no genres: tags, lengths and fingerprints only.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; a core each unless given.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Also files that failed before and are the same.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")] = False,
) -> None:
    """Keep a collection in a library: hear what is new or changed, and see what moved or went away.

    It can be stopped at any moment and goes on where it was; several scans may work on one library. No music file is
    written to.
    """
    from tonearm import library as room
    from tonearm.cli._sounds import Status

    if no_predict and model != "fma":
        raise UsageError("--no-predict hears no genres, so there is nothing for --model to do")
    status = Status()
    try:
        report = room.scan(
            folders or (),
            library=library,
            model=None if no_predict else model,
            workers=workers,
            retry=retry,
            progress=_Progress(status),
        )
    except KeyboardInterrupt:
        status.clear()
        print("tonearm: what is done is kept; the same command goes on from there", file=sys.stderr)
        raise
    status.clear()
    if as_json:
        # ASCII only: names that are not UTF-8 come through as escapes and can be read back to the same bytes.
        print(json.dumps(report.to_json()))
    else:
        _show(report)
    raise typer.Exit(1 if report.failed or report.away else 0)


class _Progress:
    """How far it is, ten times a second at most."""

    def __init__(self, status: object) -> None:
        self.status, self.next, self.began = status, 0.0, 0.0

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        self.began = self.began or (now if total is not None else 0.0)
        if now < self.next:
            return
        self.next = now + 0.1
        if total is None:
            self.status.show(f"{done} files found")
        else:
            left = (now - self.began) / done * (total - done) if done else 0
            self.status.show(f"{done} of {total} files heard, {_time(left)} left")


def _time(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds > 5400
        else f"{seconds / 60:.0f} min"
        if seconds > 90
        else f"{seconds:.0f} s"
    )


def _show(report: Report) -> None:
    from tonearm.cli._sounds import shown, tell_what_to_install

    for item in report.failed:
        print(f"{shown(item['path'])}: {shown(item['message'])} [{item['code']}]", file=sys.stderr)
    tell_what_to_install(item["code"] for item in report.failed)
    for item in report.away:
        print(
            f"{shown(item['path'])}: {item['reason']}: its {item['files']} files stay in the library", file=sys.stderr
        )
        print("  if they are gone for good: tonearm library forget path:FOLDER", file=sys.stderr)
    counts = [
        (report.new, "new"),
        (report.changed, "changed"),
        (report.moved, "moved"),
        (report.returned, "back again"),
        (report.missing, "missing"),
        (len(report.failed), "failed"),
    ]
    words = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing has changed"
    print(f"{report.found} files: {words}; {report.heard} heard, {report.known} known by their sound", file=sys.stderr)
    if report.failed_before:
        print(
            f"  {report.failed_before} failed before: `tonearm library list is:error`; --retry tries again",
            file=sys.stderr,
        )
    if report.busy:
        print(f"  {report.busy} are in the hands of another scan", file=sys.stderr)
    print(f"  library: {shown(report.library)}", file=sys.stderr)
