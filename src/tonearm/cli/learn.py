"""`tonearm learn`: a personal model from music that is labelled already."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

# Songs of each list that are shown; --json has them all.
ROWS = 30


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|CSV|LIBRARY|PACK",
            help="Music of yours; a CSV with the columns path and genre; `library` (or its file); or a pack.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL.npz", help="The model file to write.")],
    labels: Annotated[
        str | None,
        typer.Option(metavar="tags|folders|FILE.csv", help="Where genres stand; looked for unless given."),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="M", help="The model whose hearing is used: a name or the path of a model file.")
    ] = "fma",
    encoder: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Your own encoder instead: its YAML file, or its ONNX file beside one."),
    ] = None,
    min_tracks: Annotated[int, typer.Option("--min-tracks", min=2, help="A genre with fewer songs is left out.")] = 10,
    sure: Annotated[
        float, typer.Option(min=0.3, max=0.99, help="How often an answer that is called sure should be right.")
    ] = 0.9,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; all cores unless given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="What all chance comes from.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is there under this name.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page, too.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON on standard output.")] = False,
) -> None:
    """Make a model of your own genres from music that you have labelled.

    It says how good the model is on artists it has not heard, which genres are too few, which songs look mislabelled,
    and whether more music would help. Stopped anywhere, the same command goes on with what was heard.
    """
    from tonearm import learning
    from tonearm.cli._sounds import Status, tell_what_to_install

    options = learning.Options(
        labels=labels, model=model, encoder=encoder, workers=workers, min_tracks=min_tracks, sure=sure, seed=seed,
        force=force,
    )  # fmt: skip
    if html:
        _check_page(html)
    status = Status()
    try:
        report = learning.learn(what, output, options, progress=None if quiet else status.show)
    except KeyboardInterrupt:
        status.clear()
        print("what was heard is kept: the same command goes on from there", file=sys.stderr)
        raise
    finally:
        status.clear()
    if html:
        from tonearm.reports.learn_page import page

        html.write_text(page(report), encoding="utf-8")
        print(f"written: {html}", file=sys.stderr)
    if as_json:
        # ASCII only: names that are not UTF-8 come through as escapes and can be read back to the same bytes.
        print(json.dumps(report, allow_nan=False))
    else:
        _show(report)
    for row in report["skipped"]:
        print(f"{_plain(row['path'])}: {_plain(row['message'])} [{row['code']}]", file=sys.stderr)
    tell_what_to_install(row["code"] for row in report["skipped"])


def _check_page(path: Path) -> None:
    """Before ten minutes of work, not after."""
    from tonearm.errors import UsageError

    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--html {path}: no file can be written there")


def _show(report: dict[str, Any]) -> None:
    per_genre, ear = report["per_genre"], report["ear"]
    over = report["interval_over"]
    print(
        f"{_plain(report['model'])}: {len(per_genre)} genres from {report['n']} songs by {report['interval_groups']} "
        f"{over if over != 'songs' else 'unknown artists'}, heard by {_plain(ear['name'])} {ear['version']}"
    )
    for note in report["notes"]:
        print(f"  {_plain(note)}")
    heard = "songs it had not heard" if over == "songs" else f"songs by {over} it had not heard"
    commonest = f"always saying the commonest: {100 * report['largest_genre']:.1f} %"
    print(f"\nright for {_percent(report)} of {heard} (n = {report['n']}; {commonest})")
    _show_sure(report["sure"])
    print()
    _show_genres(per_genre, over)
    _show_scarce(report["scarce"])
    _show_doubts(report["doubtful"], report["no_doubts"])
    _show_curve(report, over)
    if report["unlabelled"]:
        print(f"\nleft out because they have no genre: {len(report['unlabelled'])} songs")


def _percent(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    interval = "no interval" if low is None else f"{100 * low:.1f} to {100 * high:.1f}"
    return f"{100 * figure['accuracy']:.1f} % [{interval}]"


def _show_sure(sure: dict[str, Any]) -> None:
    if sure["accuracy"] is None:
        print(f"sure from a probability of {sure['threshold']:.2f} on, which no song here reaches reliably")
    else:
        print(f"sure of {100 * sure['share']:.0f} % of them (probability from {sure['threshold']:.2f} on), "
              f"and right there for {_percent(sure)}")  # fmt: skip


def _show_genres(per_genre: dict[str, dict[str, Any]], over: str) -> None:
    rows = [("genre", "songs", over if over != "songs" else "", "recall", "95 % interval", "precision")]
    for genre, row in sorted(per_genre.items(), key=lambda item: -(item[1]["recall"] or 0)):
        low, high = row["recall_interval"]
        interval = "–" if low is None else f"{100 * low:.0f} to {100 * high:.0f}"
        precision = "–" if row["precision"] is None else f"{100 * row['precision']:.0f} %"
        artists = str(row["artists"]) if over != "songs" else ""
        rows.append((_plain(genre), str(row["n"]), artists, f"{100 * row['recall']:.0f} %", interval, precision))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  " + "  ".join(cell for cell, width in zip(cells, widths, strict=True) if width))


def _show_scarce(rows: list[dict[str, Any]]) -> None:
    out, weak = [row for row in rows if not row["kept"]], [row for row in rows if row["kept"]]
    if out:
        print("\nleft out:")
        for row in out[:ROWS]:
            print(f"  {_plain(row['genre'])}: {row['reason']}")
        _more(len(out))
    if weak:
        told = ", ".join(f"{_plain(row['genre'])} ({row['reason'].removeprefix('only ')})" for row in weak)
        print(f"\nlearnt, but from too few to trust its figure: {told}")


def _show_doubts(rows: list[dict[str, Any]], why: str) -> None:
    if why:
        print(f"\nlabels were not doubted: {why}")
    elif not rows:
        print("\nno label looks wrong")
    else:
        many = "1 label looks wrong" if len(rows) == 1 else f"{len(rows)} labels look wrong"
        print(f"\n{many}; listen before you change them:")
        for row in rows[:ROWS]:
            times = min(row["probability"] / row["probability_of_label"], 999)
            print(f"  {_short(row['path'])}: {_plain(row['label'])}? more like {_plain(row['suggested'])} "
                  f"({times:.0f} times likelier)")  # fmt: skip
        _more(len(rows))


def _show_curve(report: dict[str, Any], over: str) -> None:
    shown = ", ".join(f"{100 * row['value']:.1f} % with {row['artists']:.0f}" for row in report["curve"])
    print(f"\n{over} learnt from and accuracy: {shown}")
    print(report["more_music"]["words"])


def _more(count: int) -> None:
    if count > ROWS:
        print(f"  … and {count - ROWS} more (--json has them all)")


def _plain(text: object) -> str:
    from tonearm.cli._sounds import shown

    return shown(text)


def _short(path: str) -> str:
    from tonearm.cli._sounds import short

    return short(path)
