"""What the commands that train many times have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help="A name that `tonearm recipes` lists, or a YAML file.")]
Data = Annotated[
    str, typer.Option(metavar="PATH_OR_PACK", help="A pack, or a dataset: gtzan:PATH, folder:PATH, synth, a path.")
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where runs and report go.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A value of the recipe, for all runs. Repeatable."),
]
Seeds = Annotated[int, typer.Option(min=1, help="Runs of each, seeds 0 and up.")]
Protocol = Annotated[
    str | None, typer.Option(help="How tracks are split; the most honest that the data allows unless given.")
]
SplitFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A split file of `tonearm split make` instead.")]
On = Annotated[str, typer.Option(metavar="PART", help="The part that is judged: valid, or test (marked).")]
Adapt = Annotated[
    bool, typer.Option("--adapt", help="Where the pack lacks something, use the nearest; the result is marked.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of torch; all cores unless given.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as one page.")]
Json = Annotated[bool, typer.Option("--json", help="The report as JSON on standard output.")]


def options(
    protocol: str | None, split: Path | None, adapt: bool, threads: int | None, device: str, quiet: bool, seed: int = 0
) -> Any:
    """The options of every run of an experiment."""
    from tonearm import recipes
    from tonearm.errors import UsageError

    if protocol and split:
        raise UsageError("either --protocol or --split, not both")
    return recipes.Options(
        protocol=protocol, split_file=str(split) if split else None, adapt=adapt, threads=threads, accelerator=device,
        quiet=quiet, seed=seed,
    )  # fmt: skip


def chosen(recipe: str, data: str, settings: list[str] | None) -> Any:
    """The recipe with the settings that hold for all runs."""
    from tonearm import recipes
    from tonearm.errors import UsageError

    if not data:
        raise UsageError("which data?", hint="--data PATH_OR_PACK")
    return recipes.changed(recipes.get(recipe), recipes.parse_set(settings or []))


@contextmanager
def goes_on(output: Path) -> Iterator[None]:
    """Stopped by hand: say where everything is, and that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"\ninterrupted; what is done is kept in {output}: the same command goes on", file=sys.stderr)
        raise typer.Exit(130) from None


def write_page(html: Path | None, page: Callable[[dict[str, Any]], str], report: dict[str, Any]) -> None:
    """The report as a page, where one is wanted; `page` makes it."""
    if html is None:
        return
    from tonearm.reports._write import write

    write(html, page(report))
    print(f"written: {html}", file=sys.stderr)


def check_page(html: Path | None) -> None:
    """Before an hour of training, not after."""
    if html:
        from tonearm.reports._write import check_place

        check_place(html)


def figure(row: dict[str, Any]) -> str:
    """Accuracy with interval and spread, or why there is none."""
    if row["accuracy"] is None:
        return f"{row['status']}: {row['error']}" if row["error"] else row["status"]
    low, high = row["interval"]
    shown = f"[{100 * low:.1f}, {100 * high:.1f}]" if low is not None else "[no interval]"
    spread = f" ± {100 * row['sd_over_seeds']:.1f}" if row.get("sd_over_seeds") is not None else ""
    more = f" ({row['error']})" if row["error"] else ""
    return f"{100 * row['accuracy']:5.1f} % {shown}{spread}{more}"


def difference(effect: dict[str, Any]) -> str:
    """A paired effect in a line."""
    low, high = effect["interval"]
    verdict = "told apart" if effect["told_apart"] else "not told apart"
    return (
        f"{100 * effect['difference']:+5.1f} points [{100 * low:+.1f}, {100 * high:+.1f}], "
        f"p = {effect['p_holm']:.3g}: {verdict}"
    )


def head(report: dict[str, Any]) -> str:
    """What the figures of a report are of."""
    sizes = report["split"]["sizes"]
    return (
        f"{report['recipe']} on {report['data']}, judged on {report['on']} (n = {sizes[report['on']]}), "
        f"protocol {report['protocol']}"
    )
