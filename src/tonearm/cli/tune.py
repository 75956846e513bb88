"""`tonearm tune`: settings chosen by validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.cli import _experiment as of


def command(
    recipe: of.Recipe,
    data: of.Data = "",
    trials: Annotated[int, typer.Option(min=1, help="How many trials the study has in the end.")] = 50,
    output: of.Output = Path("tuning"),
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=LOW..HIGH", help="What may change: model.cost=0.1..100:log, or a list a,b,c. Repeatable."
        ),
    ] = None,
    on: Annotated[str, typer.Option(metavar="PART", help="Select by valid, or by folds:K apart by artist.")] = "valid",
    metric: Annotated[str, typer.Option(help="accuracy, balanced_accuracy, f1_macro or log_loss.")] = "accuracy",
    storage: Annotated[
        str | None, typer.Option(metavar="URL_OR_FILE", help="The study's database or file; a journal in FOLDER else.")
    ] = None,
    study: Annotated[str, typer.Option(help="The study's name; the recipe's unless given.")] = "",
    timeout: Annotated[float | None, typer.Option(min=0, help="Begin no trial after so many seconds.")] = None,
    prune: Annotated[bool, typer.Option("--prune/--no-prune", help="Stop trials that are worse than most.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="What all chance comes from.")] = 0,
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
    """Search settings of a recipe by validation or cross-validation; the test part is not opened.

    What may change stands under `search` in the recipe (`tonearm recipes show`), or is given here. The same command in
    several terminals works on one study; stopped, it goes on. The best is left as FOLDER/best.yaml.
    """
    from tonearm import experiments
    from tonearm.reports.tuning_page import tuning_page

    of.check_page(html)
    space = experiments.parse_search(search or [])
    chosen = of.chosen(recipe, data, set_)
    options = of.options(protocol, split, adapt, threads, device, quiet, seed)
    with of.goes_on(output):
        report = experiments.tune(
            chosen, data, output, options, trials=trials, on=on, metric=metric, search=space, storage=storage,
            study=study, timeout_seconds=timeout, prune=prune,
        )  # fmt: skip
    of.write_page(html, tuning_page, report)
    if as_json:
        print(json.dumps(report, ensure_ascii=False, allow_nan=False))
    else:
        _show(report, data)
    if report["best"] is None:
        raise typer.Exit(1)


def _show(report: dict[str, Any], data: str) -> None:
    print(of.head(report) if report["judged_by"] == "valid" else f"{report['recipe']} on {report['data']}")
    counts = ", ".join(f"{count} {state}" for state, count in report["counts"].items())
    print(f"  by {report['metric']} on {report['judged_by']}: {counts}")
    best = report["best"]
    if best:
        print(f"  best: {report['metric']} {best['value']:.4f} in trial {best['number']}")
        if best["n"]:
            low, high = best["interval"]
            print(f"  accuracy {100 * best['accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}], n = {best['n']}")
        print(f"  {report['set_line']}")
    for setting, share in sorted(report["importance"].items(), key=lambda pair: -pair[1]):
        print(f"  importance {100 * share:5.1f} %  {setting}")
    for note in report["notes"]:
        print(note)
    if best:
        print(f"next: tonearm train {report['best_recipe']} --data {data} -o RUN --seeds 3")
