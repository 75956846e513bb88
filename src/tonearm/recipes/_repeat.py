"""A run again, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tonearm import runs
from tonearm.errors import TonearmError
from tonearm.recipes._load import read
from tonearm.recipes._material import open_material
from tonearm.recipes._run import Options, run


def repeat(folder: str | Path, out: str | Path, *, quiet: bool = False) -> dict[str, Any]:
    """Train again what `folder` holds: its recipe as run, its data, its split, its seed. The new run as a row."""
    folder = Path(folder)
    about = runs.read_json(folder / "run.json")
    try:
        given, data = about["options"], about["data"]
        options = Options(
            split_file=str(folder / "split.json"), seed=about["seed"], adapt=given["adapt"], quick=about["quick"],
            leaky_on_purpose=given["leaky_on_purpose"], accelerator=given["accelerator"], threads=about["threads"],
            resamples=given["resamples"], hold_back=given.get("hold_back", False), quiet=quiet,
        )  # fmt: skip
        source, hashes = data["source"], data["sha256"]
    except (KeyError, TypeError) as error:
        raise TonearmError(f"{folder / 'run.json'}: not a whole run: {error!r}", code="unreadable") from None
    if not source:
        raise TonearmError(f"{folder}: the run does not say where its data lay", code="missing")
    recipe = read(folder / "recipe.yaml")
    material = open_material(recipe, source, adapt=given["adapt"], quiet=quiet)
    if dict(material.hashes) != hashes:
        raise TonearmError(
            f"{source}: not the data of {folder}, whose hashes differ",
            hint="a repetition needs the same pack; train afresh to use another",
            code="hash",
        )
    return runs.describe(run(recipe, source, out, options, material=material))


def same_numbers(first: str | Path, second: str | Path) -> bool:
    """Whether two runs said the same of every segment, to the last digit that is written."""
    name = "predictions-segments.csv"
    return (Path(first) / name).read_bytes() == (Path(second) / name).read_bytes()
