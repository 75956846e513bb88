"""`tonearm make`: a model that comes with tonearm, from the packs to the file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="gtzan, fma, or a YAML file in their form.")],
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder that holds the packs the recipe names.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Nets, figures and the model.")],
    threads: Annotated[int, typer.Option(min=1, help="Cores to train on.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Figures as JSON.")] = False,
) -> None:
    """Make a shipped model again: train, choose, calibrate, measure, write.

    One command from the packs to the file, with every seed and setting in the recipe. It may be stopped at any time;
    the same command goes on from the last hundred steps.
    """
    from tonearm.errors import TonearmError

    try:
        import onnx  # noqa: F401
        import torch
    except ImportError as error:
        raise TonearmError(
            f"making a model needs torch and onnx ({error.name} is missing)",
            hint='pip install "tonearm[train]"', code="needs-extra",
        ) from None  # fmt: skip
    from tonearm.shipping import recipe
    from tonearm.shipping.make import make

    torch.set_num_threads(threads)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:6.0f} s] {text}", file=sys.stderr, flush=True)

    try:
        told = make(recipe.get(model), data, output, say)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from what is in {output}", file=sys.stderr)
        raise SystemExit(130) from None
    if as_json:
        print(json.dumps(told))
        return
    print(f"{told['model']}: {told['bytes'] / 1e6:.1f} MB, within {told['difference']:.0e} of torch")
    for figure in told["figures"]:
        low, high = figure["interval"]
        print(f"  {figure['protocol']}, {figure['part']}: {figure['accuracy']:.1%} [{low:.1%}, {high:.1%}], "
              f"n = {figure['n']}, ECE {figure['ece']:.3f}")  # fmt: skip
