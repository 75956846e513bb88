"""`tonearm curve`: accuracy against what a recipe is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.cli import _experiment as of


def command(
    recipe: of.Recipe,
    data: of.Data = "",
    over: Annotated[str, typer.Option(help="tracks, clip_seconds, overlap or segments.")] = "tracks",
    at: Annotated[
        str, typer.Option(metavar="A,B,C", help="The points: shares of the tracks, seconds, overlaps or counts.")
    ] = "",
    output: of.Output = Path("curve"),
    seeds: of.Seeds = 1,
    on: of.On = "valid",
    set_: of.Set = None,
    protocol: of.Protocol = None,
    split: of.SplitFile = None,
    adapt: of.Adapt = False,
    threads: of.Threads = None,
    device: of.Device = "auto",
    quiet: of.Quiet = False,
    html: of.Html = None,
    as_json: of.Json = False,
) -> None:
    """Train a recipe with less and more of something, and report accuracy at each point.

    Over training tracks, whole artists are left out, genre by genre, and every subset holds the smaller ones. Each
    point is paired with the one before. Stopped, the same command goes on.
    """
    from tonearm import experiments
    from tonearm.reports.curve_page import curve_page

    of.check_page(html)
    points = experiments.parse_at(at)
    chosen = of.chosen(recipe, data, set_)
    options = of.options(protocol, split, adapt, threads, device, quiet)
    with of.goes_on(output):
        report = experiments.curve(chosen, data, output, over, options, at=points, seeds=seeds, on=on)
    of.write_page(html, curve_page, report)
    if as_json:
        print(json.dumps(report, ensure_ascii=False, allow_nan=False))
    else:
        _show(report)
    if any(row["status"] in ("failed", "partly") for row in report["points"]):
        raise typer.Exit(1)


def _show(report: dict[str, Any]) -> None:
    print(of.head(report))
    print(f"  {report['unit']}")
    for row in report["points"]:
        print(f"  {row['x']:>8.4g}  {of.figure(row)}")
        if row["gain"]:
            print(f"            {of.difference(row['gain'])} from the point before")
    for note in report["notes"]:
        print(note)
