"""`tonearm robustness`: what a model makes of music that was changed and is still the same music."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

VERDICTS = {"no": "FALLS", "little": "falls", "yes": "falls"}


def command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL_OR_RUN", help="A model's name, a model file, or the folder of a run.")
    ],
    data: Annotated[
        str, typer.Option(metavar="PACK_OR_DATASET", help="A dataset or a folder of music; or a pack of log-mel.")
    ],
    split: Annotated[
        str | None, typer.Option(metavar="PART", help="test, valid … or all; test, else valid, else all.")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this change; all unless given. Repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many tracks, every genre its share.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap and of --limit.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """See what a model loses when music is compressed, noisy or a little faster: the horse test."""
    from tonearm.judging.robustness import robustness

    found = robustness(
        model, data, part=split, changes=change or (), limit=limit, seed=seed, workers=workers, quiet=quiet
    )
    for sentence in found["seen_in_training"]["sentences"]:
        print(f"WARNING: {sentence}", file=sys.stderr)
    for entry in found["failed"]:
        print(f"tonearm: {entry['path']}: {entry['message']}", file=sys.stderr)
    if as_json:
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    print(f"{found['model']} on {found['data']}, {found['split']}: {found['n']} tracks, changed: {found['how']}")
    if found["labelled"]:
        print(f"  accuracy as they are {_share(found['accuracy'], found['interval'])}, over {found['interval_over']}")
    else:
        print("  genres are not known, or not those of the model: only whether it says the same")
    width = max((len(row["words"]) for row in found["changes"]), default=0)
    head = f"\n  {'change':{width}s}  {'heard':>6s}  {'says the same':>24s}"
    print(head + (f"  {'points lost':>22s}" if found["labelled"] else ""))
    for row in found["changes"]:
        line = f"  {row['words']:{width}s}  {row['audible']:>6s}  "
        line += f"{_share(row['unchanged'], row['unchanged_interval']):>24s}"
        if found["labelled"]:
            low, high = row["fall"]["interval"]
            points = f"{row['fall']['points']:.1f} [{low:.1f} to {high:.1f}]"
            line += f"  {points:>22s}  {VERDICTS[row['audible']] if row['falls'] else ''}"
        print(line.rstrip())
    if found["labelled"]:
        print("\n  falls: more is lost than chance explains (5 %, corrected for the number of changes);")
        print("  FALLS: and nobody hears the change, so that something that is no music was learnt")
    for reason in dict.fromkeys(found["skipped"].values()):
        names = [name for name, other in found["skipped"].items() if other == reason]
        print(f"  left out ({reason}): {', '.join(names)}")


def _share(value: float, interval: list[float | None]) -> str:
    low, high = interval
    if low is None or high is None:
        return f"{100 * value:.1f} %"
    return f"{100 * value:.1f} % [{100 * low:.1f} to {100 * high:.1f}]"
