"""`tonearm split`: make, show, check and compare splits."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.errors import UsageError

app = typer.Typer(
    help="Make, show and check splits by a named protocol.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]
What = Annotated[
    str, typer.Argument(metavar="PACK_OR_DATASET", help="A pack, or a dataset as `tonearm data` names it.")
]
SplitFile = Annotated[Path, typer.Argument(metavar="SPLIT", help="A split file.")]


@app.command("list", epilog="Example: tonearm split list")
def list_(as_json: Json = False) -> None:
    """The protocols: what each keeps apart, what it lets leak, who uses it."""
    from tonearm.protocols import registry

    cards = [registry.get(name).card() for name in registry]
    if as_json:
        print(json.dumps(cards, indent=2, ensure_ascii=False))
        return
    for card in cards:
        leaky = "  LEAKY, only with --leaky-on-purpose" if card["leaky"] else ""
        print(f"{card['protocol']}{leaky}")
        print(f"  {card['summary']}")
        print(f"  keeps apart: {', '.join(card['keeps_apart']) or 'nothing'}")
        print(f"  lets leak:   {card['lets_leak']}")
        print(f"  used by:     {card['used_by']}\n")


@app.command(epilog="Example: tonearm split make packs/mine --protocol artist --folds 5 -o split.json")
def make(
    what: What,
    protocol: Annotated[str, typer.Option(help="`tonearm split list` names them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; else standard output.")] = None,
    folds: Annotated[int, typer.Option(help="So many folds, each test in turn, instead of one split.")] = 0,
    ratio: Annotated[str, typer.Option(help="Shares of train/valid/test, such as 80/10/10, or of train/test.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Another seed deals the groups otherwise.")] = 0,
    column: Annotated[str, typer.Option(help="Column with the parts, for the protocol `column`.")] = "",
    per_genre: Annotated[int, typer.Option(help="Tracks per genre in test, for the protocol `balanced`.")] = 0,
    no_duplicates: Annotated[
        bool, typer.Option("--no-duplicates", help="Do not look for near-duplicates where recordings are unknown.")
    ] = False,
    leaky_on_purpose: Annotated[
        bool, typer.Option("--leaky-on-purpose", help="Allow the protocol `segment`, to show how much it flatters.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Split tracks by a protocol and write the ids to a small file that every run can read.

    Where the table names no recordings, near-duplicates that tonearm finds stay together, if the protocol groups.
    """
    from tonearm import protocols
    from tonearm.audit.source import open_source

    chosen = protocols.registry.get(protocol)
    source = open_source(what)
    sets: list[tuple[str, ...]] = []
    if "duplicates" in chosen.takes and not no_duplicates and not (source.table.recording != "").any():
        sets = _found_duplicates(source)
    split = protocols.make_split(
        source.table,
        protocol,
        folds=folds,
        ratio=_ratio(ratio),
        seed=seed,
        column=column,
        per_genre=per_genre,
        duplicates=sets,
        leaky_on_purpose=leaky_on_purpose,
    )
    if output:
        protocols.write_split(split, output)
    if as_json or not output:
        print(json.dumps(split.to_json(), indent=1, ensure_ascii=False))
    _describe(split, file=sys.stderr)
    _print_leaks(protocols.leaks(split, source.table, duplicates=sets), split.folds, file=sys.stderr)
    if output:
        print(f"written: {output}", file=sys.stderr)


def _found_duplicates(source: Any) -> list[tuple[str, ...]]:
    from tonearm.audit import duplicates as dup
    from tonearm.audit.run import find_duplicates

    print("no recordings are named: looking for near-duplicates", file=sys.stderr)
    sets = dup.sets(find_duplicates(source, progress=lambda words: print(words, file=sys.stderr)))
    print(f"{len(sets)} sets of near-duplicates stay together", file=sys.stderr)
    return sets


def _ratio(text: str) -> tuple[float, ...] | None:
    if not text:
        return None
    try:
        return tuple(float(share) for share in text.replace(",", "/").replace(":", "/").split("/"))
    except ValueError:
        raise UsageError(f"--ratio {text}: not shares", hint="for example 80/10/10 or 80/20") from None


@app.command(epilog="Example: tonearm split show split.json")
def show(split: SplitFile, as_json: Json = False) -> None:
    """What a split file holds: protocol, parts, groups and the hash of its ids."""
    from tonearm.protocols import read_split

    found = read_split(split)
    if as_json:
        print(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
    else:
        _describe(found)


@app.command(epilog="Example: tonearm split check split.json packs/mine")
def check(split: SplitFile, what: What, as_json: Json = False) -> None:
    """Does anything stand in two parts? Exit code 1 if something does that the protocol must keep apart."""
    from tonearm import protocols
    from tonearm.audit.source import open_source

    found = protocols.read_split(split)
    source = open_source(what)
    leaks = protocols.leaks(found, source.table)
    forbidden = [leak for leak in leaks if leak.kind in (*found.keeps_apart, "segment")]
    if as_json:
        answer = {
            "split": found.name,
            "hash": found.hash,
            "protocol": found.protocol,
            "ok": not forbidden,
            "leakage": [leak.to_json() for leak in leaks],
        }
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _describe(found)
        _print_leaks(leaks, 0)
    raise typer.Exit(1 if forbidden else 0)


@app.command(epilog="Example: tonearm split compare mine.json theirs.json")
def compare(one: SplitFile, other: Annotated[Path, typer.Argument(metavar="SPLIT", help="Another.")]) -> None:
    """Are two splits the same? Exit code 1, and how they differ, if not: then their figures cannot be compared."""
    from tonearm.protocols import difference, read_split

    words = difference(read_split(one), read_split(other))
    print(words or "the same split: figures on both can be compared")
    raise typer.Exit(1 if words else 0)


def _describe(split: Any, file: Any = None) -> None:
    file = file or sys.stdout
    print(f"{split.name}", file=file)
    if split.leaky:
        print("  LEAKY: every figure from it flatters, and must say so", file=file)
    parts = ", ".join(f"{part} {len(ids)}" for part, ids in split.parts.items())
    print(f"  parts: {parts} {'rows' if split.unit == 'row' else 'tracks'}", file=file)
    if split.left_out:
        print(f"  left out: {split.left_out}", file=file)
    print(f"  keeps apart: {', '.join(split.keeps_apart) or 'nothing'}", file=file)
    if split.groups:
        unknown = {kind: n for kind, n in split.groups.get("unknown", {}).items() if n}
        alone = "".join(f"; of {n} tracks the {kind} is unknown, they stand alone" for kind, n in unknown.items())
        print(f"  groups: {split.groups.get('count')} by {' and '.join(split.groups.get('by', []))}{alone}", file=file)
    print(f"  hash of the ids: {split.hash}", file=file)


def _print_leaks(leaks: list[Any], folds: int, file: Any = None) -> None:
    file = file or sys.stdout
    if not leaks:
        print("  nothing that is known stands in two parts", file=file)
    elif folds:
        # Ten pairs of folds with a line each would bury what matters.
        kinds = {leak.kind: len({track for other in leaks if other.kind == leak.kind for track in other.ids})
                 for leak in leaks}  # fmt: skip
        text = ", ".join(f"{n} tracks by {kind}" for kind, n in kinds.items())
        print(f"  let leak between folds: {text}", file=file)
    else:
        for leak in leaks:
            print(f"  leak: {leak}", file=file)
