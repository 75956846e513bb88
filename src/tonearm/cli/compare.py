"""`tonearm compare`: runs side by side, tested on the same tracks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    run: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders, or folders of them.")],
    on: Annotated[
        str, typer.Option(metavar="PART", help="auto (test where there is one, else valid), valid or test.")
    ] = "auto",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the comparison as one page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The comparison as JSON on standard output.")] = False,
) -> None:
    """Compare runs in one table, with intervals and paired tests against the best.

    Runs of one recipe that differ in their seed are one row, so are folds. Only what was judged on the same tracks of
    the same split is tested; a run that failed or is not finished is a row that says so.
    """
    from tonearm import experiments

    if html:
        from tonearm.reports._write import check_place

        check_place(html)
    found = experiments.compare(run, on=on)
    if html:
        from tonearm.reports._write import write
        from tonearm.reports.comparison_page import comparison_page

        write(html, comparison_page(found))
        print(f"written: {html}", file=sys.stderr)
    if as_json:
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        _show(found)
    if not found["tests"]:
        raise typer.Exit(1)


def _show(found: dict[str, Any]) -> None:
    for test in found["tests"]:
        leaky = " (leaky)" if test["leaky"] else ""
        unit = "segments" if test["unit"] == "segment" else "tracks"
        print(f"{test['data']}, {test['part']}, n = {test['n']} {unit}, protocol {test['protocol']}{leaky}")
        for row in found["rows"]:
            if row["test"] == test["test"]:
                _show_row(row)
    failed = [row for row in found["rows"] if row["test"] is None]
    if failed:
        print("without a figure")
    for row in failed:
        print(f"  {row['name']}: {row['status']}: {row['error']}")
    for note in found["notes"]:
        print(note)


def _show_row(row: dict[str, Any]) -> None:
    low, high = row["interval"]
    shown = f"[{100 * low:.1f}, {100 * high:.1f}]" if low is not None else "[no interval]"
    spread = ""
    if row["sd_over_seeds"] is not None:
        spread = f", ± {100 * row['sd_over_seeds']:.1f} over {len(row['seeds'])} seeds"
    elif row["folds"]:
        spread = f", {row['folds']} folds"
    print(f"  {row['name']}: {100 * row['accuracy']:.1f} % {shown}{spread}, macro F1 {100 * row['f1_macro']:.1f}")
    against = row["against_best"]
    if against:
        print(f"    {words(against)}")
    for sentence in row["marks"]:
        print(f"    {sentence}")


def words(effect: dict[str, Any]) -> str:
    """A paired difference in a line."""
    low, high = effect["interval"]
    verdict = "worse" if effect["difference"] < 0 else "better"
    told = f"told apart: {verdict}" if effect["told_apart"] else "not told apart"
    needed = effect["tracks_needed"]
    more = f"; some {needed:,} tracks would tell" if needed and not effect["told_apart"] else ""
    return (
        f"{100 * effect['difference']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}] to the best, "
        f"p = {effect['p_holm']:.3g} ({effect['test']}, Holm): {told}{more}"
    )
