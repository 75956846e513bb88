"""`tonearm tag`: see what would be written, write it, take it back."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tonearm.tags.planning import Plan

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Write genres into tags: planned first, journaled, and taken back on request.",
    epilog="Example: tonearm tag plan ~/Music -o plan.json",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]
Journals = Annotated[
    Path | None,
    typer.Option("--journal", help="Folder of the journals, if not in tonearm's own data.", metavar="FOLDER"),
]
Planned = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|FOLDER|QUERY",
        help="Files and folders to listen to; or what to find in the library, such as genre:folk is:untagged.",
    ),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Where the plan goes.", metavar="PLAN")]
Model = Annotated[
    str | None, typer.Option(help="Name or file of the model; `tonearm models` lists them.", show_default="fma")
]
Policy = Annotated[
    str, typer.Option(help="fill: files without a genre; add: to what is there; replace: it; keep: write nothing.")
]
Threshold = Annotated[
    float | None,
    typer.Option(metavar="P", help="Least probability of a genre, 0 to 1.", show_default="the model's own"),
]
Most = Annotated[int, typer.Option("--max", help="At most so many genres in a file.")]
Names = Annotated[
    Path | None,
    typer.Option("--map", help="YAML from predicted genres to your own names, one or several; null drops one."),
]
Unsure = Annotated[bool, typer.Option("--unsure", help="Also use predictions that call themselves not sure.")]
Source = Annotated[
    str | None,
    typer.Option(
        "--from", help="Predictions that are there: JSON Lines of `tonearm predict --json`, a CSV, or - for stdin."
    ),
]
FromLibrary = Annotated[
    Path | None,
    typer.Option(
        help="Take predictions from this library of `tonearm scan`, listen to nothing.",
        metavar="FILE",
        show_default="tonearm's own, for a query",
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that listen; a core each unless given.")]
# A file that takes longer to be heard than this hangs; its worker is replaced.
TIMEOUT_SECONDS = 300.0
ROWS = 500  # of a table for people; the plan's file has them all


@app.command(
    epilog="Examples: tonearm tag plan ~/Music -o plan.json · "
    "tonearm tag plan genre:folk is:untagged -o plan.json · "
    "tonearm predict ~/Music --json | tonearm tag plan --from - -o plan.json",
)
def plan(
    files: Planned = None,
    output: Output = None,
    model: Model = None,
    policy: Policy = "fill",
    threshold: Threshold = None,
    most: Most = 3,
    names: Names = None,
    unsure: Unsure = False,
    source: Source = None,
    library: FromLibrary = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Say what would change, file by file, and keep it as a plan. No music file is touched."""
    from tonearm.errors import UsageError
    from tonearm.tags.from_library import is_query
    from tonearm.tags.planning import check_place

    if output is None:
        raise UsageError("where should the plan go?", hint="-o plan.json")
    check_place(output)  # before anything is heard
    asks = is_query(files)
    if source is not None and (model is not None or library is not None or asks):
        raise UsageError("--from brings predictions, so there is nothing for --model, --library or a query to do")
    if source is None and library is None and not files:
        raise UsageError("what should be planned for?", hint="name files, folders or a query, or --from predictions")
    settings: dict[str, Any] = {
        "policy": policy, "threshold": threshold, "max_genres": most, "names": names, "unsure": unsure,
    }  # fmt: skip
    with _progress("listening" if source is None else "reading", as_json) as progress:
        if library is not None or asks:
            made = _from_library(library, files or [], asks, model, settings, progress)
        elif source is not None:
            made = _from_predictions(source, files, settings, progress)
        else:
            made = _heard(files, model, workers, settings, progress)
    made.save(output)
    _show_plan(made, output, as_json)
    raise typer.Exit(1 if made.skipped else 0)


def _show_plan(made: Plan, output: Path, as_json: bool) -> None:
    for warning in made.warnings:
        print(f"tonearm: {warning}", file=sys.stderr)
    if as_json:
        _print_json(
            planned=len(made.entries), skipped=made.skipped, journal=None, plan=str(output),
            entries=[{key: entry[key] for key in ("path", "before", "after")} for entry in made.entries],
            unchanged=[{key: item[key] for key in ("path", "before", "reason")} for item in made.unchanged],
            warnings=made.warnings,
        )  # fmt: skip
        return
    _show_changes(made.entries)
    _show_skipped(made.skipped)
    reasons = [item["reason"] for item in made.unchanged]
    why = ", ".join(f"{reasons.count(reason)} {reason}" for reason in sorted(set(reasons)))
    rest = f"; {len(reasons)} stay as they are ({why})" if reasons else ""
    print(f"{_files(len(made.entries))} would change{rest}. Plan: {output}", file=sys.stderr)


def _from_predictions(source: str, files: list[str] | None, settings: dict, progress: Any) -> Plan:
    from tonearm import tags

    return tags.plan(source, files or None, progress=progress, **settings)


def _heard(files: list[str] | None, model: str | None, workers: int | None, settings: dict, progress: Any) -> Plan:
    from tonearm import tags
    from tonearm.engines.local import default_workers

    return tags.plan(
        files=files, model=model, workers=workers or default_workers(), timeout_seconds=TIMEOUT_SECONDS,
        progress=progress, **settings,
    )  # fmt: skip


def _from_library(
    path: Path | None, words: list[str], asks: bool, model: str | None, settings: dict, progress: Any
) -> Plan:
    """A plan from what a library knows: of a query's files, of the files named, or of all."""
    from tonearm import library, tags
    from tonearm.tags import from_library

    with library.open(path) as mine:
        found = from_library.predictions(mine, words if asks else "", model=model, threshold=settings["threshold"])
        made = tags.plan(found, None if asks or not words else words, progress=progress, **settings)
    made.settings["library"] = str(mine.path)
    return made


@app.command(epilog="Example: tonearm tag apply plan.json")
def apply(
    plan: Annotated[Path, typer.Argument(help="A plan of `tonearm tag plan`.", metavar="PLAN")],
    keep_times: Annotated[bool, typer.Option("--keep-times", help="Leave the files' times as they are.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    journal: Journals = None,
    as_json: AsJson = False,
) -> None:
    """Write what a plan says. A journal keeps what each file was; `tonearm tag undo` goes back to it."""
    from tonearm import tags

    with _progress("writing", as_json) as progress, _interruptible():
        report = tags.apply(plan, journal_folder=journal, keep_times=keep_times, dry_run=dry_run, progress=progress)
    if as_json:
        extra = {"dry_run": True, "would_write": len(report.details)} if dry_run else {}
        _print_json(written=report.count, skipped=report.skipped, journal=report.journal, **extra)
    else:
        if dry_run:
            _show_changes(report.details)
        _show_skipped(report.skipped)
        if dry_run:
            print(f"{_files(len(report.details))} would be written", file=sys.stderr)
        else:
            print(f"{_files(report.count)} written, {len(report.skipped)} skipped", file=sys.stderr)
            if report.count:
                print(f"  `tonearm tag undo` takes it back; journal: {report.journal}", file=sys.stderr)
    raise typer.Exit(1 if report.skipped else 0)


@app.command(epilog="Example: tonearm tag undo")
def undo(
    name: Annotated[
        str | None, typer.Argument(help="A journal by name or path; without it the latest.", metavar="JOURNAL")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the genre has been changed by something else since.")
    ] = False,
    journal: Journals = None,
    as_json: AsJson = False,
) -> None:
    """Take back what an apply wrote, to the byte where nothing else changed the file since."""
    from tonearm import tags

    _check_journals(journal)
    with _progress("restoring", as_json) as progress:
        report = tags.undo(name, journal_folder=journal, force=force, progress=progress)
    if as_json:
        by_genre = [item["path"] for item in report.details if item["how"] == "genre"]
        _print_json(restored=report.count, skipped=report.skipped, journal=report.journal, genre_only=by_genre)
    else:
        _show_skipped(report.skipped)
        if report.journal is None:
            print("there is nothing to undo", file=sys.stderr)
        else:
            print(f"{_files(report.count)} restored, {len(report.skipped)} skipped", file=sys.stderr)
    raise typer.Exit(1 if report.skipped else 0)


@app.command(epilog="Example: tonearm tag history")
def history(journal: Journals = None, as_json: AsJson = False) -> None:
    """List the journals, the latest first: what was written when, and what of it was taken back."""
    from tonearm import tags

    _check_journals(journal)
    found = tags.history(journal_folder=journal)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    if not found:
        print("nothing has been written yet", file=sys.stderr)
        return
    table = _table("journal", "when (UTC)", "written", "state", "plan")
    for item in found:
        when = item.get("created", "")[:19].replace("T", " ")
        table.add_row(item["journal"], when, str(item.get("written", "")), item["state"], _plain(item.get("plan", "")))
    _console().print(table)


@app.command(epilog="Example: tonearm tag show song.mp3")
def show(
    files: Annotated[list[str], typer.Argument(help="Files and folders.")],
    as_json: AsJson = False,
) -> None:
    """Show the genres and the kinds of tag of files, as they are read."""
    from tonearm import tags
    from tonearm.tags.walking import problem, walk

    skipped: list[dict[str, str]] = []
    found: list[dict[str, Any]] = []
    for path in walk(files, skipped):
        try:
            found.append(tags.describe(path))
        except tags.TagError as error:
            skipped.append(problem(path, error))
    if as_json:
        _print_json(files=found, skipped=skipped)
    else:
        if found:
            table = _table("file", "format", "tags", "genres")
            for item in found:
                genres = _plain(", ".join(item["genres"])) or "–"
                table.add_row(_short(item["path"]), item["container"], " + ".join(item["tags"]) or "none", genres)
            _console().print(table)
        _show_skipped(skipped)
    raise typer.Exit(1 if skipped else 0)


def _print_json(**values: Any) -> None:
    # ASCII only: names that are not UTF-8 come through as escapes and can be read back to the same bytes.
    print(json.dumps(values, indent=2))


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def _console() -> Any:
    from rich.console import Console

    # In a file or a pipe a row is one line, however long the names are.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)


def _check_journals(journal: Path | None) -> None:
    """A folder of journals that was named has to be there; tonearm's own may not be yet."""
    from tonearm.cli._sounds import shown
    from tonearm.errors import UsageError

    if journal is not None and not journal.is_dir():
        raise UsageError(f"{shown(journal)}: there is no such folder of journals", hint="tonearm tag apply makes it")


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _plain(text: str) -> Any:
    """Text as it is: a name may hold what rich takes for markup, and what a terminal takes for a command."""
    from rich.text import Text

    from tonearm.tags.errors import shown

    return Text(shown(text))


def _short(path: str) -> Any:
    here = f"{Path.cwd()}{os.sep}"
    return _plain(path.removeprefix(here))


def _show_changes(entries: list[dict[str, Any]]) -> None:
    if not entries:
        return
    told = any("probabilities" in entry for entry in entries)
    table = _table("file", "genres now", "genres then", *(["probability"] if told else []))
    for entry in entries[:ROWS]:
        shares = [p for p in entry.get("probabilities", {}).values() if p is not None]
        row = [_short(entry["path"]), _plain(", ".join(entry["before"]) or "–"), _plain(", ".join(entry["after"]))]
        table.add_row(*row, *([", ".join(f"{p:.2f}" for p in shares) or "–"] if told else []))
    _console().print(table)
    if len(entries) > ROWS:
        print(f"… and {len(entries) - ROWS} more in the plan", file=sys.stderr)


def _show_skipped(skipped: list[dict[str, str]]) -> None:
    from tonearm.cli._sounds import tell_what_to_install
    from tonearm.tags.errors import shown

    # Without its journal nothing is touched: that is one reason for all files, and is said once.
    unwritten = [item for item in skipped if item["code"] == "journal"]
    for item in [each for each in skipped if each["code"] != "journal"] + unwritten[:1]:
        print(f"skipped {shown(item['path'])}: {shown(item['message'])} [{item['code']}]", file=sys.stderr)
    if unwritten:
        more = f"so are {len(unwritten) - 1} more, for the same reason; " if len(unwritten) > 1 else ""
        print(f"  {more}make room where the journal lies and run the command again", file=sys.stderr)
    tell_what_to_install(item["code"] for item in skipped)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print("tonearm: what was written so far can be taken back with `tonearm tag undo`", file=sys.stderr)
        raise


@contextmanager
def _progress(verb: str, quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar on standard error, only where a person watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb)
        yield lambda done, total: bar.update(task, completed=done, total=total)
