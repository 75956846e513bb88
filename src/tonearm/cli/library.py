"""`tonearm library`: ask the library that `tonearm scan` keeps."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tonearm.library import Library
    from tonearm.library.rows import Table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Ask the library: which songs, how many, what sounds alike, what is there twice.",
    epilog="Example: tonearm library list genre:folk confidence:0.8.. not artist:davis",
)

Query = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="QUERY…",
        help="Words that must all fit: genre:folk tag:rock artist:davis year:1960..1969 confidence:0.8.. path:~/Music "
        "is:disagree|unsure|missing|error|untagged …; a bare word is looked for in title, artist, album and path; "
        "`not` turns the next word round.",
    ),
]
File = Annotated[
    Path | None, typer.Option("--library", metavar="FILE", help="The library's file, if not tonearm's own.")
]
Model = Annotated[str | None, typer.Option(metavar="M", help="Predictions of this model, if not of the last scan's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]
Order = Annotated[str, typer.Option("--by", metavar="ORDER", help="path, artist, year, genre, confidence or added.")]
Limit = Annotated[int, typer.Option(min=0, help="Show at most so many; 0 shows all.")]
SHOWN = 1000


@app.command("list", epilog="Example: tonearm library list genre:folk,pop confidence:0.8.. year:..1970")
def list_(
    query: Query = None, order: Order = "path", limit: Limit = SHOWN, library: File = None, model: Model = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """List the files that fit, with what is predicted for them."""
    _find(query or [], order, limit, library, model, as_json)


@app.command(epilog='Example: tonearm library search "kind of blue"')
def search(
    words: Annotated[list[str], typer.Argument(help="Words of a title, artist, album or path; any QUERY goes too.")],
    order: Order = "artist", limit: Limit = 50, library: File = None, model: Model = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Find songs by words, whatever their case and accents."""
    _find(words, order, limit, library, model, as_json)


def _find(
    query: list[str], order: str, limit: int, file: Path | None, model: str | None, as_json: bool
) -> None:  # fmt: skip
    from tonearm import library as room
    from tonearm.library import rows

    with room.open(file) as mine, _no_rings():
        chosen = rows.model_of(mine, model)
        if limit:
            total, first = rows.page(mine, query, chosen, order=order, limit=limit)
            tables = iter([first])
        else:
            total, columns = None, rows.JSON_COLUMNS if as_json else LINE_COLUMNS
            tables = rows.tables(mine, query, chosen, order=order, columns=columns)
        texts, shown = [], 0
        for table in tables:
            if count := len(table["path"]):
                texts.append(rows.json_text(table, chosen, ", ") if as_json else "\n".join(_lines(table)))
                shown += count
    total = shown if total is None else total
    if as_json:
        print(f'{{"total": {total}, "files": [', end="")
        _print_in_turn(texts, ", ")
        print("]}")
        return
    if shown:
        _print_in_turn(texts, "\n")
        print()
    if total > shown:
        print(f"… and {total - shown} more (--limit 0 shows all)", file=sys.stderr)
    elif not shown:
        print("nothing fits", file=sys.stderr)


@app.command(epilog="Example: tonearm library stats --json")
def stats(library: File = None, model: Model = None, as_json: AsJson = False) -> None:
    """Say how much there is, of which genres, and how far tags and predictions agree."""
    from tonearm import library as room

    with room.open(library) as mine:
        told = room.stats(mine, model=model)
    if as_json:
        _print_json(**told)
    else:
        _show_stats(told)


@app.command(epilog="Example: tonearm library similar song.mp3 -n 20")
def similar(
    song: Annotated[Path, typer.Argument(help="A file of the library, or any other.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 10,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare all songs, also where there are more than 100,000.")
    ] = False,
    library: File = None, model: Model = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Find the songs that sound most like one, by what the model hears in them."""
    from tonearm import library as room

    with room.open(library) as mine:
        rows = room.similar(mine, song, model=model, count=count, exact=exact or None)
    if as_json:
        _print_json(song=str(song), files=rows)
        return
    for row in rows:
        print(f"{row['similarity']:.3f}  {_line(row)}")


@app.command(epilog="Example: tonearm library duplicates --json")
def duplicates(
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Only exact (the same sound), near (another encoding) or same-recording."),
    ] = None,
    limit: Limit = SHOWN,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that listen; a core each unless given.")] = None,
    library: File = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """List songs that are there more than once: the same sound, or one recording in another encoding.

    Songs that have no fingerprint yet get one first: their first 20 seconds are heard. That is kept at once; stopped
    anywhere, the same command goes on.
    """
    from tonearm import library as room
    from tonearm.errors import unknown_name

    kinds = ("exact", "near", "same-recording")
    if kind is not None and kind not in kinds:
        raise unknown_name("kind", kind, kinds)
    with room.open(library) as mine:
        failed = [] if kind == "exact" else _listened(mine, workers)
        groups = [group for group in room.duplicates(mine, listen=False) if kind in (None, group["kind"])]
    wasted = sum(group["wasted_bytes"] for group in groups)
    shown_groups = groups[: limit or None]
    if as_json:
        _print_json(total=len(groups), wasted_bytes=wasted, duplicates=shown_groups, failed=failed)
    else:
        _show_groups(shown_groups)
        print(f"{len(groups)} songs are there more than once, {_bytes(wasted)} in all", file=sys.stderr)
    raise typer.Exit(1 if failed else 0)


def _listened(mine: Library, workers: int | None) -> list[dict[str, str]]:
    """Fingerprints of the songs that have none; a line for each that could not be heard."""
    from tonearm import library as room
    from tonearm.cli._sounds import Status, shown

    status = Status()
    try:
        failed = room.complete(
            mine, workers=workers, progress=lambda done, total: status.show(f"{done} of {total} new songs compared")
        )
    except KeyboardInterrupt:
        status.clear()
        print("tonearm: what is done is kept; the same command goes on from there", file=sys.stderr)
        raise
    status.clear()
    for item in failed:
        print(f"{shown(item['path'])}: {shown(item['message'])} [{item['code']}]", file=sys.stderr)
    return failed


def _show_groups(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        share = "" if group["share"] is None else f", {group['share']:.0%} of the fingerprint"
        print(f"{group['kind']}{share}, {_bytes(group['wasted_bytes'])} more than one of them needs")
        for file in group["files"]:
            print(f"  {_bytes(file['size'] or 0):>9}  {_clock(file['seconds'])}  {_short(file['path'])}")


@app.command(epilog="Example: tonearm library export genre:folk is:sure -o folk.m3u8 --relative")
def export(
    query: Query = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file, or with --per-genre the folder.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="csv, json, jsonl, parquet or m3u8; else by the file's ending.")
    ] = None,
    per_genre: Annotated[bool, typer.Option("--per-genre", help="A playlist for each predicted genre.")] = False,
    relative: Annotated[bool, typer.Option("--relative", help="Playlists with paths from where they lie.")] = False,
    order: Order = "artist", library: File = None, model: Model = None,
) -> None:  # fmt: skip
    """Write the files that fit as a table or as playlists."""
    from tonearm import library as room
    from tonearm.errors import UsageError
    from tonearm.library import export as writing
    from tonearm.library import rows

    if per_genre and (output is None or format not in (None, "m3u8")):
        raise UsageError("--per-genre writes playlists into a folder", hint="-o playlists, and no other --format")
    if relative and output is None:
        raise UsageError("--relative to what?", hint="-o names the playlist's file")
    kind = "m3u8" if per_genre else writing.format_of(format, output)
    if relative and kind != "m3u8":
        raise UsageError("--relative is about playlists", hint="-o playlist.m3u8")
    with room.open(library) as mine, _no_rings(), _no_pandas():
        chosen = rows.model_of(mine, model)
        found = writing.Found(mine, query or [], chosen, order)
        if per_genre:
            counts = writing.per_genre(found, output, relative=relative)
            words = ", ".join(f"{genre} {count}" for genre, count in counts.items()) or "no song has a genre"
            print(f"{len(counts)} playlists in {output}: {words}", file=sys.stderr)
        elif output is None:
            if kind == "parquet" and sys.stdout.isatty():
                raise UsageError("Parquet is nothing for a terminal", hint="-o songs.parquet")
            writing.WRITERS[kind](found, sys.stdout.buffer)
        else:
            count = writing.to_file(found, output, kind, relative=relative)
            print(f"{count} files written to {output}", file=sys.stderr)


@app.command(epilog="Example: tonearm library forget is:missing")
def forget(
    query: Query = None,
    of_model: Annotated[
        str | None, typer.Option("--model", metavar="M", help="Instead: all predictions of this model.")
    ] = None,
    library: File = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Take files out of the library, or a model's predictions. The music itself is not touched."""
    from tonearm import library as room
    from tonearm.errors import UsageError

    if of_model is not None and query:
        raise UsageError("either files or the predictions of a model", hint="tonearm library forget is:missing")
    with room.open(library, write=True) as mine:
        if of_model is not None:
            count, what = room.forget_model(mine, of_model), "predictions"
        else:
            count, what = room.forget(mine, query or []), "files"
    if as_json:
        _print_json(forgotten=count)
    else:
        print(f"{count} {what} forgotten", file=sys.stderr)


@contextmanager
def _no_rings() -> Iterator[None]:
    """Rows hold no rings of references: to look for some again and again takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _no_pandas() -> Iterator[None]:
    """pyarrow loads pandas, where that is there, to ask whether a list is one of its arrays: a sixth of the time."""
    sys.meta_path.insert(0, _NotPandas)
    try:
        yield
    finally:
        sys.meta_path.remove(_NotPandas)


class _NotPandas:
    """Finds no module, but says at once that pandas is missing."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("not needed here", name=name)


def _print_in_turn(texts: list[str], between: str) -> None:
    """Very much text piece by piece: put together it would be there three times."""
    for number, text in enumerate(texts):
        sys.stdout.write(f"{between}{text}" if number else text)


def _print_json(**values: Any) -> None:
    # ASCII only: names that are not UTF-8 come through as escapes and can be read back to the same bytes.
    print(json.dumps(values))


def _line(row: dict[str, Any]) -> str:
    """One of `query`'s rows for people."""
    best = row["genres"][0] if row["genres"] else {"genre": None, "probability": None}
    return _lines({
        "path": [row["path"]], "tagged": ["\n".join(row["tagged"])], "sure": [row["sure"]],
        "genres": [row["model"]], "genre": [best["genre"]], "probability": [best["probability"]],
        "error_code": [row["error"] and row["error"]["code"]], "missing_at": [row["missing"] or None],
    })[0]  # fmt: skip


# What `_lines` reads of a table.
LINE_COLUMNS = ("path", "tagged", "sure", "genres", "genre", "probability", "error_code", "missing_at")


def _lines(table: Table) -> list[str]:
    """Files for people: what it is, what the tags say, and the name last, because names are of any length."""
    from tonearm.cli._sounds import shorten, shown

    short = shorten()
    tagged = {text: f"{shown(text.replace(chr(10), ', ')) or '–':<24}" for text in set(table["tagged"])}
    lines = []
    for path, tags, sure, heard, genre, share, error, missing_at in zip(*map(table.get, LINE_COLUMNS), strict=True):
        if error:
            said = f"failed: {error}"
        elif genre is None:
            said = "not heard" if heard is None else "no music"
        else:
            said = f"{'' if sure else 'not sure: '}{genre} {100 * round(share, 4):.0f} %"
        lines.append(f"{said:<30}  {tagged[tags]}  {short(path)}{'' if missing_at is None else '  (missing)'}")
    return lines


def _short(path: str) -> str:
    from tonearm.cli._sounds import short

    return short(path)


def _bytes(size: int) -> str:
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _clock(seconds: float | None) -> str:
    return "  –:––" if seconds is None else f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"


def _show_stats(told: dict[str, Any]) -> None:
    from tonearm.cli._sounds import shown

    hours = told["seconds"] / 3600
    print(f"{told['files']} files, {_bytes(told['size'])}, {hours:.1f} hours; library of {_bytes(told['bytes'])}")
    rest = [(told["missing"], "missing"), (told["failed"], "failed"), (told["pending"], "not looked at yet")]
    if any(count for count, _ in rest):
        print("  " + ", ".join(f"{count} {what}" for count, what in rest if count))
    if told["model"]:
        print(f"\nHeard by {told['model']}: {told['predicted']}, sure of {told['sure']}")
        for genre, row in told["genres"].items():
            print(f"  {genre:<24} {row['files']:>7}   sure {row['sure']:>7}")
    compared = told["agree"] + told["disagree"]
    if compared:
        print(f"\nTags and model agree on {told['agree']} of {compared} files that both are sure of")
    if told["tags"]:
        print(f"\nGenres in tags ({told['untagged']} files have none)")
        for tag, count in list(told["tags"].items())[:20]:
            print(f"  {shown(tag):<24} {count:>7}")
    if told["errors"]:
        print("\nFailed: " + ", ".join(f"{count} {code}" for code, count in told["errors"].items()))
