"""`tonearm recipes`: the published systems that can be trained, with what they claim."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import textwrap
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="List the systems that can be trained: claims, their protocols, and what is known to be wrong with them.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]


@app.callback(invoke_without_command=True)
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the systems that can be trained: what they claim, by which protocol, and what is known to be wrong with it.

    What is known of several neighbours in common stands once, below the last of them, behind "!".
    """
    if context.invoked_subcommand:
        return
    from tonearm import recipes

    rows = [_row(recipes.get(name)) for name in recipes.names()]
    if as_json:
        print(json.dumps(rows))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for caveats, same in itertools.groupby(rows, key=lambda row: row["caveats"]):
        for row in same:
            print(f"{row['name']}: {row['system']['title']}\n  {_claimed(row)}")
        for caveat in caveats:
            print(textwrap.fill(f"! {caveat}", width or 10_000, initial_indent="  ", subsequent_indent="    "))
        print()


def _claimed(row: dict[str, Any]) -> str:
    """What is claimed, by which protocol, and what `tonearm reproduce` takes for it."""
    claim, protocol = row["claim"], row["published"]["name"]
    if claim is None:
        return f"no claim; trained by the protocol {protocol}"
    told = f"claims {100 * claim['value']:.4g} % {claim['metric']} ({claim['dataset']}, {claim['protocol']})"
    return f"{told}; as published: the protocol {protocol}"


@app.command(epilog="Example: tonearm recipes show njupt-cnn2d")
def show(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: Json = False) -> None:
    """A recipe in full: as YAML that `tonearm train` takes, changed or not."""
    from tonearm import recipes

    recipe = recipes.get(name)
    if as_json:
        print(json.dumps(recipe.config()))
        return
    import yaml

    print(yaml.safe_dump(recipe.config(), sort_keys=False, allow_unicode=True, width=100), end="")


def _row(recipe: Any) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "system": recipe.system.model_dump(),
        "claim": recipe.claim.model_dump() if recipe.claim else None,
        "published": dict(recipe.published),
        "dataset": recipe.dataset,
        "caveats": list(recipe.caveats),
    }
