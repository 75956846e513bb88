"""`tonearm explain`: on which bands and which seconds a prediction rests."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tonearm.judging.explain import Check, Explanation

_CLEARLY = 0.9  # of the draws


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Sound files.")],
    model: Annotated[
        str, typer.Option(metavar="MODEL_OR_RUN", help="A model's name, a model file, or the folder of a run.")
    ] = "fma",
    genre: Annotated[str | None, typer.Option(help="Explain this genre, not the model's answer.")] = None,
    start: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Explain the stretch that begins here.")
    ] = None,
    step: Annotated[float, typer.Option(min=0.25, metavar="SECONDS", help="How long a cell is.")] = 2.0,
    bands: Annotated[int, typer.Option(min=2, max=64, help="How many bands there are.")] = 8,
    draws: Annotated[int, typer.Option(min=1, help="Random deletions that the check compares with.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random deletions.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Write picture, excerpts and numbers of each file here."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON per file on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Show on which bands and seconds a prediction rests, as numbers, picture and sound; and check it."""
    from tonearm.errors import TonearmError, UsageError
    from tonearm.judging.explain import explain, summary
    from tonearm.judging.predictor import open_predictor
    from tonearm.packs._progress import Progress

    predictor = open_predictor(model)
    if output and output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file", hint="name a folder with -o")
    found, failed = [], 0
    progress = Progress(len(files), "files", quiet=quiet or len(files) == 1)
    for file in files:
        try:
            told = explain(
                predictor, file, genre=genre, start_seconds=start, step_seconds=step, bands=bands, draws=draws,
                seed=seed,
            )  # fmt: skip
        except TonearmError as error:
            if error.exit_code == 2 or len(files) == 1:
                raise
            print(f"tonearm: {error.message}", file=sys.stderr)
            failed += 1
            if as_json:
                print(json.dumps({"path": os.fspath(file), "error": {"code": error.code, "message": error.message}}))
            continue
        finally:
            progress.step()
        written = _written(told, output / _folder_of(file, files)) if output else {}
        found.append(told)
        if as_json:
            print(json.dumps({**told.to_json(), "files": written, "error": None}, allow_nan=False))
        else:
            _show(told, written)
    progress.close()
    if len(found) > 1 and not as_json:
        _show_summary(summary(found, seed=seed))
    if failed:
        raise typer.Exit(1)


def _folder_of(file: Path, files: list[Path]) -> str:
    """The file's own name below the output; with a number where two are called the same."""
    twins = [other for other in files if other.stem == file.stem]
    return file.stem if len(twins) == 1 else f"{file.stem}-{twins.index(file) + 1}"


def _written(told: Explanation, folder: Path) -> dict[str, str]:
    """Picture, the stretch to listen to, the same with only the named cells, and all numbers."""
    import csv
    import io

    from tonearm.errors import TonearmError
    from tonearm.judging._muffle import Muffled
    from tonearm.reports._write import write
    from tonearm.reports.explain_picture import picture

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TonearmError(f"{folder}: cannot be made: {error.strerror or error}", code="write") from None
    name = os.fsencode(Path(told.path).name).decode("utf-8", "replace")
    write(folder / "explanation.svg", picture(told, name).svg(alone=True) + "\n")
    written = {"picture": "explanation.svg"}
    if told.gradients.get("available"):
        drawn = picture(told, name, weights=told.gradients["cells"], how="integrated gradients")
        write(folder / "gradients.svg", drawn.svg(alone=True) + "\n")
        written["gradients"] = "gradients.svg"
    rate = told.waveform.sample_rate
    first, last = (round(at * rate) for at in told.telling)
    write(folder / "excerpt.wav", _wav(told.waveform.samples[first:last], rate))
    # Everything but the named cells is turned down: what is left is what the answer is said to rest on.
    alone = Muffled(told.waveform).without(told.grid, ~told.named)
    write(folder / "named.wav", _wav(alone.samples, rate))
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["start_seconds", "end_seconds", "low_hz", "high_hz", "weight", "named"])
    for band, column in ((i, j) for i in range(told.grid.shape[0]) for j in range(told.grid.shape[1])):
        times = told.grid.seconds[column : column + 2] + told.start_seconds
        rows.writerow([
            *(f"{at:.3f}" for at in times), *(f"{hertz:.1f}" for hertz in told.grid.hertz[band : band + 2]),
            f"{told.cells[band, column]:.6g}", "yes" if told.named[band, column] else "",
        ])  # fmt: skip
    write(folder / "cells.csv", table.getvalue())
    write(folder / "explanation.json", json.dumps(told.to_json(), allow_nan=False, indent=1) + "\n")
    written |= {"excerpt": "excerpt.wav", "named": "named.wav", "cells": "cells.csv", "numbers": "explanation.json"}
    return {what: os.fspath(folder / file) for what, file in written.items()}


def _wav(samples: Any, rate: int) -> bytes:
    import io

    import numpy as np
    import soundfile

    out = io.BytesIO()
    peak = max(1.0, float(np.abs(samples).max(initial=0.0)))
    soundfile.write(out, samples / peak, rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _show(told: Explanation, written: dict[str, str]) -> None:
    from tonearm.reports._draw import seconds

    ends = told.start_seconds, told.start_seconds + told.waveform.seconds
    print(f"{told.path}: {told.genre}, {100 * told.probability:.0f} % ({told.model}; {_times(*ends)})")
    for words, edges, weights, say in (
        ("seconds", told.seconds + told.start_seconds, told.stretches, lambda a, b: _times(a, b)),
        ("bands", told.hertz, told.bands, lambda a, b: f"{a:.0f} to {b:.0f} Hz"),
    ):
        best = sorted(range(len(weights)), key=lambda i: -weights[i])[:4]
        shown = [f"{say(edges[i], edges[i + 1])} ({weights[i]:+.2f})" for i in sorted(best) if weights[i] > 0]
        print(f"  {words} that speak for it: {', '.join(shown) or 'none'}")
    check = told.check
    verdict = _verdict(check)
    print(
        f"  check: without the named fifth the log-odds fall by {check.named:.2f}, without as many cells at random by "
        f"{check.random.mean():.2f} ({100 * check.beaten:.0f} % of {len(check.random)} draws), without the loudest by "
        f"{check.loudest:.2f}: {verdict}"
    )
    gradients = told.gradients
    if gradients.get("available"):
        own = gradients["check"]
        agree = "–" if gradients["agreement"] is None else f"{gradients['agreement']:.2f}"
        print(f"  by gradients: agreement {agree} with the above; without what they name {own.named:.2f}")
    else:
        print(f"  no gradients: {gradients.get('reason', '')}")
    if written:
        first, last = (seconds(round(at + told.start_seconds, 1)) for at in told.telling)
        print(f"  written: {Path(written['picture']).parent} (excerpt.wav is {first} to {last})")


def _verdict(check: Check) -> str:
    if not check.holds:
        return "IT DOES NOT HOLD: do not believe this explanation"
    # More than the mean of the draws, but not more than nearly all of them, is what chance gives as well.
    return "it holds" if check.beaten >= _CLEARLY else "WEAK: many cells at random hurt as much"


def _times(start: float, end: float) -> str:
    from tonearm.reports._draw import seconds

    return f"{seconds(round(start, 1))} to {seconds(round(end, 1))}"


def _show_summary(found: dict[str, Any]) -> None:
    for how in ("occlusion", "gradients"):
        row = found[how]
        if row:
            low, high = row["interval"]
            print(
                f"{how}: deleting what is named hurts more than at random in {row['holds']} of {row['n']} files, by "
                f"{row['difference']:.2f} log-odds [{low:.2f} to {high:.2f}] (p = {row['p_value']:.2g}); more than the "
                f"loudest in {row['beats_loudest']}"
            )
