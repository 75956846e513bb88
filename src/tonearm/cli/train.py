"""`tonearm train`: a recipe on a dataset or pack, to a run folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.errors import TonearmError, UsageError


def command(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A name that `tonearm recipes` lists, or a YAML file.")
    ] = "",
    data: Annotated[
        str, typer.Option(metavar="PATH_OR_PACK", help="A pack, or a dataset: gtzan:PATH, folder:PATH, synth, a path.")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="The run folder.")] = Path("run"),
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A value of the recipe: --set training.epochs=20. Repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="What all chance comes from.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="So many runs, seeds 0 and up, with one summary.")] = 1,
    protocol: Annotated[
        str | None, typer.Option(help="How tracks are split; the most honest that the data allows unless given.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A split file of `tonearm split make` instead.")
    ] = None,
    folds: Annotated[int, typer.Option(min=0, help="A run per fold of the protocol, with one summary.")] = 0,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Where the pack lacks something, use the nearest; the result is marked.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only try it: one epoch, small models.")] = False,
    leaky_on_purpose: Annotated[
        bool, typer.Option("--leaky-on-purpose", help="Allow protocols that are known to flatter.")
    ] = False,
    repeat: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Repeat a run from its folder instead of naming a recipe.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of torch; all cores unless given.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The run as JSON on standard output.")] = False,
) -> None:
    """Train a recipe on a dataset or pack, into a run folder.

    Stopped anywhere, the same command goes on with the same numbers. The folder holds the recipe as run, the split,
    curves, predictions per track and segment, metrics and the model.
    """
    from tonearm import recipes

    options = recipes.Options(
        protocol=protocol, split_file=str(split) if split else None, seed=seed, adapt=adapt, quick=quick,
        leaky_on_purpose=leaky_on_purpose, quiet=quiet, threads=threads, accelerator=device,
    )  # fmt: skip
    if protocol and split:
        raise UsageError("either --protocol or --split, not both")
    if seeds > 1 and (folds or seed):
        raise UsageError("--seeds goes with neither --seed nor --folds")
    try:
        if repeat:
            if recipe or data or set_:
                raise UsageError("--repeat takes recipe and data from the run", hint="leave out RECIPE, --data, --set")
            result = recipes.repeat(repeat, output, quiet=quiet)
        else:
            result = _train(recipe, data, output, set_ or [], seeds, folds, options)
    except KeyboardInterrupt:
        print(f"\ninterrupted; what is done is kept in {output}: the same command goes on", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        print(json.dumps(result))
        return
    if "run" in result:
        _print_run(result)
    else:
        _print_many(result, output)
    if repeat:
        same = recipes.same_numbers(repeat, output)
        print("the numbers are those of the first run" if same else "the numbers differ from the first run")
        if not same:
            raise TonearmError(
                f"{output}: not the numbers of {repeat}",
                hint="another machine, device, library version or number of threads; compare the two run.json",
                code="differs",
            )


def _train(
    recipe: str, data: str, output: Path, settings: list[str], seeds: int, folds: int, options: Any
) -> dict[str, Any]:
    from tonearm import recipes, runs

    if not recipe:
        raise UsageError("which recipe?", hint="`tonearm recipes` lists them")
    if not data:
        raise UsageError("which data?", hint="--data PATH_OR_PACK")
    chosen = recipes.changed(recipes.get(recipe), recipes.parse_set(settings))
    if folds:
        if not options.protocol:
            raise UsageError("folds of which protocol?", hint="--protocol artist")
        return recipes.run_folds(chosen, data, output, folds, options)
    if seeds > 1:
        return recipes.run_seeds(chosen, data, output, range(seeds), options)
    return runs.describe(recipes.run(chosen, data, output, options))


def _print_run(row: dict[str, Any]) -> None:
    print(f"{row['run']}: {row['recipe']} on {row['data']}, {_protocol(row)}, seed {row['seed']}")
    for part, figures in row["figures"].items():
        on = "; the epoch was chosen on this part" if row.get("chosen_on") == part else ""
        print(f"  {part:<6} {_figure(figures)}{on}")
    _print_marks(row)


def _print_many(summary: dict[str, Any], output: Path) -> None:
    how = f"{summary['folds']} folds" if summary.get("folds") else f"{len(summary['seeds'])} seeds"
    print(f"{output}: {summary['recipe']} on {summary['data']}, {_protocol(summary)}, {how}")
    for part, figures in summary["parts"].items():
        on = "; the epoch was chosen on this part" if summary.get("chosen_on") == part else ""
        spread = figures.get("sd_over_seeds")
        seeds = f", deviation over seeds {100 * spread:.1f}" if spread is not None else ""
        print(f"  {part:<6} {_figure(figures)}{seeds}{on}")
    _print_marks(summary)


def _print_marks(row: dict[str, Any]) -> None:
    for sentence in row["adapted"]:
        print(f"  adapted: {sentence}")
    if row["quick"]:
        print("  quick: one epoch of a small version, no figure to be quoted")


def _protocol(row: dict[str, Any]) -> str:
    return f"protocol {row['protocol']}" + (" (leaky)" if row["leaky"] else "")


def _figure(figures: dict[str, Any]) -> str:
    low, high = figures["interval"]
    return (
        f"{100 * figures['accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}], macro F1 "
        f"{100 * figures['f1_macro']:.1f}, n = {figures['n']}"
    )
