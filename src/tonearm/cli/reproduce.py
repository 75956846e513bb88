"""`tonearm reproduce`: claims beside measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli._training import Adapt, Data, Device, Quiet, Threads, interrupted
from tonearm.errors import UsageError


def command(
    recipe: Annotated[list[str], typer.Argument(metavar="RECIPE…", help="Names of recipes, or all.")],
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the runs go.")] = Path(
        "reproduction"
    ),
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="Only this protocol, instead of the published one and the honest ones. Repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs per protocol, seeds 0 and up.")] = 1,
    adapt: Adapt = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only try that everything runs: one epoch of small models; adapts.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A value of the recipe, told in the result. Repeatable."),
    ] = None,
    threads: Threads = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The table as Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
) -> None:
    """Train systems as published and under honest protocols, claims beside measurements.

    A recipe that fails is a line of the table. Stopped, the same command goes on: finished runs are kept.
    """
    from tonearm import recipes
    from tonearm.recipes import _reproduce

    if as_json and as_markdown:
        raise UsageError("either --json or --markdown, not both")
    names = recipes.names() if recipe == ["all"] else recipe
    for name in names:
        recipes.get(name)
    options = recipes.Options(adapt=adapt or quick, quick=quick, quiet=quiet, threads=threads, accelerator=device)
    try:
        rows = recipes.reproduce(
            names, data, output, options, protocols=protocol or (), seeds=seeds, settings=recipes.parse_set(set_ or [])
        )
    except KeyboardInterrupt:
        raise interrupted(output) from None
    if as_json:
        print(json.dumps(rows))
    elif as_markdown:
        print(_reproduce.markdown(rows), end="")
    else:
        for row in rows:
            _print(row)
    if rows and not any(result["error"] is None for row in rows for result in row["results"]):
        raise typer.Exit(1)


def _print(row: dict) -> None:
    from tonearm.recipes import _reproduce

    claim = row["claim"]
    told = f"claims {100 * claim['value']:.4g} % {claim['metric']} ({claim['dataset']})" if claim else "claims nothing"
    print(f"{row['recipe']}: {told}")
    if row["error"]:
        print(f"  {row['error']['message']}")
    for result in row["results"]:
        print(f"  {_reproduce.line(result)}")
