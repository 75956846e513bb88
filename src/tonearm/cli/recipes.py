"""`tonearm recipes`: the published systems that can be trained, with what they claim."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="List the systems that can be trained, what they claim, and what is wrong with the claims.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]


@app.callback(invoke_without_command=True)
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the systems that can be trained, what they claim, and what is wrong with the claims."""
    if context.invoked_subcommand:
        return
    from tonearm import recipes

    rows = [_row(recipes.get(name)) for name in recipes.names()]
    if as_json:
        print(json.dumps(rows))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        claim = row["claim"]
        told = f"{100 * claim['value']:.4g} % {claim['metric']}, {claim['dataset']}" if claim else "no claim"
        print(f"{row['name']:<{width}}  {told:<28} {row['system']['title']}")


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
