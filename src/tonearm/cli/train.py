"""`tonearm train`: a recipe on a dataset or pack, to a run folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.cli._training import Adapt, Data, Device, Quiet, Threads, interrupted
from tonearm.errors import TonearmError, UsageError

Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help="A name that `tonearm recipes` lists, or a YAML file.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A value of the recipe: --set training.epochs=20. Repeatable."),
]
Protocol = Annotated[
    str | None, typer.Option(help="How tracks are split; the most honest that the data allows unless given.")
]
SplitFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A split file of `tonearm split make` instead.")]
Leaky = Annotated[bool, typer.Option("--leaky-on-purpose", help="Allow protocols that are known to flatter.")]
Repeat = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Repeat a run from its folder instead of naming a recipe.")
]
Devices = Annotated[int, typer.Option(min=1, help="GPUs that share one training; on a CPU, processes.")]
Machines = Annotated[
    int, typer.Option(min=1, help="Machines that share it: the same command on each, with NODE_RANK and MASTER_ADDR.")
]


def command(
    recipe: Recipe = "",
    data: Data = "",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="The run folder.")] = Path("run"),
    set_: Set = None,
    seed: Annotated[int, typer.Option(min=0, help="What all chance comes from.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="So many runs, seeds 0 and up, with one summary.")] = 1,
    protocol: Protocol = None,
    split: SplitFile = None,
    folds: Annotated[int, typer.Option(min=0, help="A run per fold of the protocol, with one summary.")] = 0,
    adapt: Adapt = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only try it: one epoch, small models.")] = False,
    leaky_on_purpose: Leaky = False,
    repeat: Repeat = None,
    threads: Threads = None,
    device: Device = "auto",
    devices: Devices = 1,
    machines: Machines = 1,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="The run as JSON on standard output.")] = False,
) -> None:
    """Train a recipe on a dataset or pack, into a run folder.

    Stopped anywhere, the same command goes on with the same numbers. The folder holds the recipe as run, the split,
    curves, predictions per track and segment, metrics and the model.
    """
    from tonearm import recipes

    options = recipes.Options(
        protocol=protocol, split_file=str(split) if split else None, seed=seed, adapt=adapt, quick=quick,
        leaky_on_purpose=leaky_on_purpose, quiet=quiet, threads=threads, accelerator=device, devices=devices,
        machines=machines,
    )  # fmt: skip
    _check(options, seeds=seeds, folds=folds, repeated=bool(repeat), named=bool(recipe or data or set_))
    try:
        if repeat:
            result = recipes.repeat(repeat, output, quiet=quiet)
        else:
            result = _train(recipe, data, output, set_ or [], seeds, folds, options)
    except KeyboardInterrupt:
        raise interrupted(output) from None
    if as_json:
        print(json.dumps(result))
    elif "run" in result:
        _print_run(result)
    else:
        _print_many(result, output)
    if repeat:
        _compare(repeat, output, as_json)


def _check(options: Any, *, seeds: int, folds: int, repeated: bool, named: bool) -> None:
    """Refuse what does not go together."""
    if options.protocol and options.split_file:
        raise UsageError("either --protocol or --split, not both")
    if seeds > 1 and (folds or options.seed):
        raise UsageError("--seeds goes with neither --seed nor --folds")
    if options.devices * options.machines > 1 and (seeds > 1 or folds or repeated):
        raise UsageError("--devices and --machines share one training", hint="leave out --seeds, --folds, --repeat")
    if repeated and named:
        raise UsageError("--repeat takes recipe and data from the run", hint="leave out RECIPE, --data, --set")


def _compare(first: Path, second: Path, as_json: bool) -> None:
    """Say whether a repetition gave the numbers of the first run; it is an error where it did not."""
    from tonearm import recipes

    same = recipes.same_numbers(first, second)
    words = "the numbers are those of the first run" if same else "the numbers differ from the first run"
    print(words, file=sys.stderr if as_json else sys.stdout)
    if not same:
        raise TonearmError(
            f"{second}: not the numbers of {first}",
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
