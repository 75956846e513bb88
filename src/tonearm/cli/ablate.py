"""`tonearm ablate`: what each setting of a recipe is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.cli import _experiment as of


def command(
    recipe: of.Recipe,
    data: of.Data = "",
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=A,B,C", help="A setting and its values: --vary model.kernel_size=3,5,7. Repeatable."),
    ] = None,
    output: of.Output = Path("ablation"),
    grid: Annotated[
        bool, typer.Option("--grid/--one-at-a-time", help="All combinations, or one setting at a time.")
    ] = False,
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
    """Train a recipe with other settings in the place of its own, and report what each is worth.

    Differences are paired over tracks and seeds, with intervals and Holm's correction, on validation: the test part is
    left out. A setting that fails is a row. Stopped, the same command goes on; more values and seeds may be added.
    """
    from tonearm import experiments
    from tonearm.reports.ablation_page import ablation_page

    of.check_page(html)
    varied = experiments.parse_vary(vary or [])
    chosen = of.chosen(recipe, data, set_)
    options = of.options(protocol, split, adapt, threads, device, quiet)
    with of.goes_on(output):
        report = experiments.ablate(chosen, data, output, varied, options, seeds=seeds, grid=grid, on=on)
    of.write_page(html, ablation_page, report)
    if as_json:
        print(json.dumps(report, ensure_ascii=False, allow_nan=False))
    else:
        _show(report)
    if any(row["status"] in ("failed", "partly") for row in report["cells"]):
        raise typer.Exit(1)  # as everywhere: some of the work failed, and its rows say why


def _show(report: dict[str, Any]) -> None:
    print(of.head(report))
    width = max(len(row["name"]) for row in report["cells"])
    for row in report["cells"]:
        print(f"  {row['name']:<{width}}  {of.figure(row)}")
    for effect in report["effects"]:
        over = f" (over {effect['over']} pairs)" if effect["over"] > 1 else ""
        print(f"  {effect['setting']} {effect['value']} and not {effect['against']}{over}: {of.difference(effect)}")
    for note in report["notes"]:
        print(note)
