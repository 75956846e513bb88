"""`tonearm predict`: the genres of files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tonearm.errors import UsageError

if TYPE_CHECKING:
    from tonearm.runtime import Model, Prediction

# A file that takes longer than this hangs; its worker is replaced. An hour of sound takes a tenth of a second.
TIMEOUT_SECONDS = 300.0
COLUMNS = ("path", "genre", "probability", "sure", "seconds", "model", "version", "error", "warnings")


def command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE|FOLDER|-…", help="Sound files, folders of them, or - for names from stdin."),
    ],
    model: Annotated[
        str, typer.Option(metavar="M", help="A name that `tonearm models` lists, or the path of a model file.")
    ] = "fma",
    top: Annotated[int, typer.Option(min=1, help="Name at most so many genres.")] = 3,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Sure from this probability on, instead of the model's own."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object per line and file.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, a row per file and genre.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into sub-folders too.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; a core each unless given.")] = None,
    null: Annotated[bool, typer.Option("--null", "-0", help="Names on stdin end in zero bytes.")] = False,
) -> None:
    """Tell the genres of sound files, and say where that is not sure.

    Some excerpts of each are heard, spread over its length. What cannot be read is one line on standard error and
    exit code 1; the rest is answered all the same.
    """
    from tonearm import runtime

    if as_json and as_csv:
        raise UsageError("either --json or --csv, not both")
    if null and "-" not in files:
        raise UsageError("--null is about names from standard input", hint="find … -print0 | tonearm predict -0 -")
    chosen = runtime.load(model)
    show = _json_line if as_json else _csv_rows() if as_csv else _row
    failed = _run(chosen, files, show, top=top, threshold=threshold, recursive=recursive, workers=workers, null=null)
    raise typer.Exit(1 if failed else 0)


def _run(
    model: Model, given: list[str], show: Callable[[Prediction], None], *, top: int, threshold: float | None,
    recursive: bool, workers: int | None, null: bool,
) -> int:  # fmt: skip
    """Show a prediction per file; returns how many there are without one."""
    from tonearm.cli._sounds import Status, shown, tell_what_to_install

    status, notes, codes = Status(), _Notes(), set()
    done = sure = failed = 0
    items = _items(given, recursive, null, notes)
    try:
        for prediction in _predictions(model, items, workers, top=top, threshold=threshold):
            status.clear()
            done += 1
            sure += prediction.sure
            if (error := prediction.error) is not None:
                failed += 1
                codes.add(error.code)
                print(f"{shown(prediction.path)}: {error.message} [{error.code}]", file=sys.stderr)
            show(prediction)
            status.show(f"{done} done")
    except KeyboardInterrupt:
        status.clear()
        print(f"\ninterrupted after {done} files; what is printed is whole", file=sys.stderr)
        raise typer.Exit(130) from None
    status.clear()
    tell_what_to_install(codes)
    notes.tell()
    if not done and not notes.lines:
        print("no names were given, so there is no answer", file=sys.stderr)
    if done > 1:
        words = f"{done} files: {sure} sure, {done - sure - failed} not sure"
        print(words + (f", {failed} failed" if failed else ""), file=sys.stderr)
    return failed + notes.failed


class _Notes:
    """What walking through folders met that is no file; told at the end, where it is not scrolled away."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failed = 0

    def tell(self) -> None:
        for line in self.lines:
            print(line, file=sys.stderr)


def _items(given: list[str], recursive: bool, null: bool, notes: _Notes) -> Iterator[str]:
    from tonearm.cli._sounds import Left, Unread, names, shown, sounds

    for item in sounds(names(given, null=null), recursive=recursive):
        if isinstance(item, Unread):
            notes.lines.append(f"{shown(item.path)}: {item.message} [{item.code}]")
            notes.failed += 1
        elif isinstance(item, Left):
            left = f"; {item.count} sub-folders were left: --recursive looks into them" if item.count else ""
            notes.lines.append(f"{shown(item.path)}: {item.found or 'no'} sound files in it{left}")
        else:
            yield item


def _predictions(model: Model, items: Iterator[str], workers: int | None, **keywords: Any) -> Iterator[Prediction]:
    """One file is answered here: a process for it would take longer. More of them are, so that no file can do harm."""
    from itertools import chain, islice

    first = list(islice(items, 2))
    if len(first) < 2 and workers is None:
        return model.predict_many(first, **keywords)
    from tonearm.engines import local

    some = list(islice(items, 30)) if workers is None else []
    # A worker takes as long to start as ten files take to be heard.
    count = workers or min(local.default_workers(), -(-(2 + len(some)) // 10))
    return model.predict_many(chain(first, some, items), workers=count, timeout_seconds=TIMEOUT_SECONDS, **keywords)


def _json_line(prediction: Prediction) -> None:
    # ASCII only: names that are not UTF-8 come through as escapes and can be read back to the same bytes.
    print(json.dumps(prediction.to_json()), flush=True)


def _csv_rows() -> Callable[[Prediction], None]:
    """Rows in UTF-8 whatever the terminal says; a name that is not UTF-8 keeps its bytes."""
    from tonearm import _csv

    waiting: list[Sequence[object]] = [COLUMNS]

    def show(prediction: Prediction) -> None:
        told = prediction.to_json()
        error = told["error"]["code"] if told["error"] else ""
        warnings = " ".join(warning["code"] for warning in told["warnings"])
        sure = "" if error else str(told["sure"]).lower()
        seconds = "" if told["seconds"] is None else told["seconds"]
        for genre in told["genres"] or [{"genre": "", "probability": ""}]:
            waiting.append(
                [told["path"], genre["genre"], genre["probability"], sure, seconds, told["model"], told["version"],
                 error, warnings]
            )  # fmt: skip
        sys.stdout.flush()
        sys.stdout.buffer.write("".join(_csv.lines(waiting)).encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
        waiting.clear()

    return show


def _row(prediction: Prediction) -> None:
    """A line for people: what it is, how sure, and the name last, because names are of any length."""
    from tonearm.cli._sounds import short

    if prediction.error is not None:
        return
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in prediction.genres)
    codes = ", ".join(warning.code for warning in prediction.warnings)
    if prediction.sure:
        words, colour = shares, typer.colors.GREEN
    elif prediction.genres:
        words, colour = f"not sure: {shares}", typer.colors.YELLOW
    else:
        words, colour = "no music", typer.colors.YELLOW
    name = short(prediction.path) if prediction.path else "-"
    typer.echo(f"{typer.style(f'{words:<44}', fg=colour)}  {name}{f'  ({codes})' if codes else ''}")
