"""`tonearm export`: the net of a run as a model file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished `tonearm train`.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="The file, ending in .onnx.")],
    name: Annotated[str | None, typer.Option(help="What the model is called; as the file unless given.")] = None,
    licence: Annotated[str | None, typer.Option(help="What may be done with it; as the data unless given.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Sure from this probability on; where 8 of 10 are right unless given."),
    ] = None,
    excerpts: Annotated[int, typer.Option(min=1, help="Hear so many excerpts of a long song.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="What the file says about itself, as JSON.")] = False,
) -> None:
    """Write the net of a run as one file that `tonearm predict --model` and every other command takes.

    The file holds the feature, the genres, the calibration and the run's figures, and needs no torch. Its answers are
    compared with torch's before it is left there.
    """
    from tonearm import runtime
    from tonearm.errors import UsageError

    if output.suffix != ".onnx":
        raise UsageError(f"{output}: a model file ends in .onnx", hint="-o model.onnx")
    made = runtime.export_run(run, output, name=name, licence=licence, threshold=threshold, excerpts=excerpts)
    if as_json:
        print(json.dumps({**made, "path": str(output)}))
        return
    size, genres = f"{made['bytes'] / 1e6:.1f} MB", f"{len(made['classes'])} genres"
    print(f"{output}: {size}, {genres}, within {made['difference']:.0e} of torch")
    print(f"  try it: tonearm predict song.mp3 --model {output}", file=sys.stderr)
