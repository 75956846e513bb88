"""`tonearm audit`: find what fools you in a dataset or a split."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    what: Annotated[
        str, typer.Argument(metavar="PACK_OR_DATASET", help="A pack, or a dataset as `tonearm data` names it.")
    ],
    split: Annotated[
        Path | None, typer.Option(help="Judge this split file (`tonearm split make`), not the dataset's own split.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON on standard output.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the report as one page that opens anywhere, without a network.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Less repetition, and no horse test on sound: a first look.")
    ] = False,
    light: Annotated[
        bool, typer.Option("--light", help="Only integrity, duplicates and leakage: no classifiers, no extra needed.")
    ] = False,
    audio: Annotated[
        Path | None, typer.Option(help="Folder with the sound of a pack, by id, to link to in the report.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all that is drawn.")] = 0,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; all cores unless given.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Find what fools you: duplicates, leaks, doubtful labels, inflated figures."""
    from tonearm.audit import Options, audit
    from tonearm.protocols import read_split

    judged = read_split(split) if split else None
    if html:
        _check_writable(html)
    report = audit(
        what,
        split=judged,
        audio=audio,
        options=Options(quick=quick, seed=seed, workers=workers, classifiers=not light),
        progress=None if quiet else _Progress(),
    )
    if not quiet and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if html:
        from tonearm.reports.audit_page import page

        html.write_text(page(report, base=html.resolve().parent), encoding="utf-8")
        print(f"written: {html}", file=sys.stderr)
    if as_json:
        print(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _show(report)


class _Progress:
    """One line that changes on a terminal; elsewhere (a log) a line now and then."""

    def __init__(self) -> None:
        self.last, self.step = 0.0, ""

    def __call__(self, words: str) -> None:
        import time

        step, now = words.split(":")[0], time.monotonic()
        if sys.stderr.isatty():
            print(f"\r\x1b[K  {words}", end="", file=sys.stderr, flush=True)
        elif step != self.step or now - self.last > 30:
            print(f"  {words}", file=sys.stderr)
            self.last = now
        self.step = step


def _check_writable(path: Path) -> None:
    """Before ten minutes of work, not after."""
    from tonearm.errors import TonearmError

    if path.is_dir() or not path.parent.is_dir():
        reason = "is a folder" if path.is_dir() else "the folder is not there"
        raise TonearmError(f"{path}: cannot be written: {reason}", code="write")
    try:
        path.touch()
    except OSError as error:
        raise TonearmError(f"{path}: cannot be written: {error.strerror}", code="write") from None


def _show(report: dict[str, Any]) -> None:
    known = report["known"]
    print(f"{report['name']}: {report['tracks']} tracks, {len(report['genres'])} genres")
    if report["unknown"]["artist"]:
        print(f"  of {report['unknown']['artist']} tracks the artist is unknown: they stand alone, which is a hope")
    if not known["recording"]:
        print("  no recordings are named: near-duplicates that were found stand in for them")
    _show_integrity(report["integrity"])
    _show_duplicates(report["duplicates"])
    _show_leakage(report)
    _show_inflation(report["inflation"])
    _show_doubtful(report["doubtful"])
    _show_horse(report)
    if report.get("skipped"):
        print(f"\nLeft out: {report['skipped']}")


def _show_integrity(found: list[dict[str, Any]]) -> None:
    from tonearm.audit.integrity import CODES

    print("\nIntegrity")
    if not found:
        print("  nothing wrong")
    for code, count in Counter(finding["code"] for finding in found).items():
        ids = [finding["id"] for finding in found if finding["code"] == code and finding["id"]]
        print(f"  {code} ({CODES.get(code, 'cannot be read')}): {count}{': ' + _few(ids) if ids else ''}")


def _few(ids: list[str], most: int = 6) -> str:
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")


def _show_duplicates(found: list[dict[str, Any]]) -> None:
    print("\nDuplicates")
    if not found:
        print("  none found")
    for duplicate in found[:15]:
        notes = ["already known"] if duplicate["known"] else []
        notes += ["UNDER DIFFERENT LABELS"] if duplicate["labels_differ"] else []
        notes = f" [{', '.join(notes)}]" if notes else ""
        print(f"  {' = '.join(duplicate['ids'])}: {duplicate['kind']}, {duplicate['evidence']}{notes}")
    if len(found) > 15:
        kinds = Counter(duplicate["kind"] for duplicate in found)
        print(f"  … {len(found)} in all: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()))


def _show_leakage(report: dict[str, Any]) -> None:
    split = report["split"]
    print("\nLeakage")
    if not split:
        print("  no split to judge: none was given and the data bring none (--split)")
        return
    print(f"  split {split['name']}: " + ", ".join(f"{part} {n}" for part, n in split["parts"].items()))
    for leak in report["leakage"][:12]:
        print(f"  {leak['count']} of {leak['parts'][1]} share the {leak['kind']} with {leak['parts'][0]}: "
              f"{_few(leak['ids'])}")  # fmt: skip
    if not report["leakage"]:
        print("  nothing that is known stands in two parts")


def _show_inflation(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    print("\nInflation: one quick classifier, split in different ways")
    for row in rows:
        if "accuracy" not in row:
            print(f"  {row['protocol']:16s} left out: {row['skipped']}")
            continue
        low, high = (100 * x for x in row["interval"])
        print(f"  {row['label']:16s} {100 * row['accuracy']:5.1f} % [{low:.1f} to {high:.1f}], n = {row['n']} tracks")
        if "worth" in row:
            worth = row["worth"]
            print(f"  {'':16s} {worth['points']:+5.1f} points over {worth['against']}: {worth['words']}")


def _show_doubtful(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    print(f"\nLabels to listen to: {len(rows)}")
    for row in rows[:10]:
        name = " – ".join(filter(None, (row["artist"], row["title"])))
        print(f"  {row['id']}: {row['label']}, sounds like {row['suggested']} ({row['probability']:.0%})  {name}")


def _show_horse(report: dict[str, Any]) -> None:
    if report.get("horse_skipped"):
        print(f"\nHorse test left out: {report['horse_skipped']}")
    if not report["horse"]:
        return
    print("\nHorse test: does accuracy survive what should not matter?")
    for row in report["horse"]:
        if "fall" in row:
            verdict = "survives" if row["survives"] else "FALLS" if row["inaudible"] else "falls"
            print(
                f"  {row['change']:16s} {100 * row['accuracy_before']:5.1f} → {100 * row['accuracy']:5.1f} %  {verdict}"
            )
        else:
            verdict = "no more than chance" if row["survives"] else "ENOUGH TO TELL GENRES: a fault of the data"
            print(
                f"  {row['change']:16s} {100 * row['accuracy']:5.1f} % (chance {100 * row['chance']:.1f} %)  {verdict}"
            )
