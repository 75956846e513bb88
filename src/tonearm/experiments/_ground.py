"""Where experiments are made: data, a split of which the test part is left out, and the runs of one setting."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tonearm import runs
from tonearm.errors import TonearmError, UsageError
from tonearm.experiments import _rows
from tonearm.experiments._effects import Answers
from tonearm.packs import open_pack
from tonearm.protocols import Split, TrackTable, read_split, registry, write_split
from tonearm.recipes import _splits
from tonearm.recipes._load import changed
from tonearm.recipes._material import Material, from_pack, open_material
from tonearm.recipes._run import Options, run
from tonearm.recipes._schema import Recipe, from_config

PARTS = ("valid", "test")
_LONGEST_NAME = 80


@dataclass
class Ground:
    """What all runs of an experiment share. `ids` are the tracks that may be read: none of the test part, as a rule."""

    recipe: Recipe
    data: str
    out: Path
    options: Options
    split: Split
    part: str
    ids: frozenset[str]
    table: TrackTable
    _open: tuple[str, Material] | None = field(default=None, repr=False)

    def material(self, recipe: Recipe) -> Material:
        """What a recipe learns from; the last is kept, because most settings change the model and not the data."""
        config = recipe.config()
        key = json.dumps([config[name] for name in ("feature", "vector", "clip")], sort_keys=True, default=str)
        if self._open is None or self._open[0] != key:
            self._open = None
            options = self.options
            material = open_material(
                recipe, self.data, adapt=options.adapt, quiet=options.quiet, workers=options.workers, only=self.ids
            )
            self._open = key, material
        return self._open[1]

    def run(self, recipe: Recipe, folder: Path, seed: int, *, split: Path | None = None, **more: Any) -> Path:
        """One training; a finished one is kept, one that was stopped goes on."""
        options = replace(self.options, seed=seed, protocol=None, split_file=str(split or self.out / "split.json"))
        return run(recipe, self.data, folder, options, material=self.material(recipe), **more)


def ground(recipe: Recipe, data: str, out: str | Path, options: Options, *, kind: str, on: str = "valid") -> Ground:
    """Open the data and settle the split, in `out`/split.json. Where `on` is valid, the test part is left out of it.

    The epoch is chosen on a part that is not judged, wherever there is training enough to hold one back.
    """
    out = Path(out)
    if on not in PARTS:
        raise UsageError(f"judged on {on!r}?", hint="valid, or test where a choice was made before")
    table = _table(recipe, data, options)
    split = _settled(_asked(table, options), table, on)
    about = {"experiment": kind, "recipe": recipe.name, "on": on, "split": split.hash}
    path = out / "experiment.json"
    # Looked at in this order because another process may begin the same here now: its first file is this one, so that
    # whatever else was there before the look at it is of somebody else. What begins with a dot is being written.
    strange = out.exists() and (not out.is_dir() or any(not at.name.startswith(".") for at in out.iterdir()))
    there = runs.read_json(path) if path.is_file() else None
    if there is None and strange:
        raise UsageError(f"{out}: there is something else under this name", hint="name another folder with -o")
    if there is not None and there != about:
        differs = [key for key, value in about.items() if there.get(key) != value]
        raise UsageError(
            f"{out}: another experiment lies here ({', '.join(f'{key} {there.get(key)}' for key in differs)})",
            hint="name another folder with -o",
            code="another-run",
        )
    runs.write_json(path, about)
    write_split(split, out / "split.json")
    ids = frozenset(name for names in split.parts.values() for name in names)
    return Ground(recipe, data, out, options, split, on, ids, table)


def _table(recipe: Recipe, data: str, options: Options) -> TrackTable:
    """The tracks of the data; no feature is looked at."""
    from tonearm.recipes._audio import pack_of_audio

    folder = Path(os.path.expanduser(data))
    if (folder / "pack.json").is_file():
        return from_pack(open_pack(folder)).table
    return from_pack(
        pack_of_audio(recipe, data, adapt=options.adapt, quiet=options.quiet, workers=options.workers)[0]
    ).table


def _asked(table: TrackTable, options: Options) -> Split:
    if options.split_file:
        split = read_split(options.split_file)
        if split.folds:
            split = split.fold(options.fold or 1, valid=split.folds > 2)
    else:
        protocol = options.protocol or _splits.default_protocol(table)
        if registry.get(protocol if isinstance(protocol, str) else protocol["name"]).leaky:
            raise UsageError(
                f"protocol {protocol} is leaky: what is chosen by it recognises songs, and not genres",
                hint="--protocol artist or track",
                code="leaky",
            )
        split = _splits.split_by(table, protocol, fold=options.fold)
    if split.leaky or split.unit == "row":
        raise UsageError(f"{split.name}: a leaky split", hint="make one with `tonearm split make … --protocol artist`")
    return split


def _settled(split: Split, table: TrackTable, on: str) -> Split:
    parts = {part: ids for part, ids in split.parts.items() if ids}
    if on == "test":
        if "test" not in parts:
            raise UsageError(f"{split.name} has no test part", hint="leave out --on test")
        return _splits.ready(split, table)[0]
    parts.pop("test", None)
    if "valid" not in parts:
        # Nothing but train is left: some of it, whole artists, is held back to judge by.
        held = _splits._with_select(replace(split, parts={"train": parts["train"]}), table).parts
        parts = {"train": held["train"], "valid": held[_splits.SELECT]}
    return _splits.ready(replace(split, parts=parts), table)[0]


@dataclass
class Cell:
    """One setting of an experiment: what it changes, and its runs by seed (a folder, or why there is none)."""

    name: str
    settings: dict[str, Any]
    recipe: Recipe | None = None
    done: dict[int, Path] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    answers: Answers | None = None


def cell(recipe: Recipe, settings: Mapping[str, Any], name: str = "") -> Cell:
    """A cell with its recipe; settings that make none are its error."""
    made = Cell(name or named(settings), dict(settings))
    try:
        made.recipe = with_settings(recipe, settings)
    except TonearmError as error:
        made.errors[0] = error.message
    return made


def with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """A recipe with some settings; a mapping for a whole section changes what it names and leaves the rest."""
    flat: dict[str, Any] = {}
    for path, value in settings.items():
        if "." not in path and isinstance(value, Mapping) and value.get("kind") is None:
            flat |= {f"{path}.{key}": one for key, one in value.items()}
        else:
            flat[path] = value
    return changed(from_config({**recipe.config(), "search": {}}), flat) if flat else recipe


def named(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{path}={plain(value)}" for path, value in settings.items()) or "as it is"


def plain(value: Any) -> str:
    """A value as one would type it after `=`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {plain(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(plain, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def folder_name(name: str) -> str:
    """A name for a folder; where letters had to go, a few digits keep it apart from others."""
    short = re.sub(r"[^A-Za-z0-9._=+-]+", "_", name).strip("_.")[:_LONGEST_NAME]
    return short if short == name else f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def run_cells(ground: Ground, cells: Sequence[Cell], seeds: Sequence[int]) -> None:
    """Every cell with every seed. What fails is told in its cell and stops nothing."""
    total, number = len(cells) * len(seeds), 0
    for one in cells:
        for seed in seeds:
            number += 1
            if one.recipe is None:
                continue
            say(ground.options, f"[{number}/{total}] {one.name}, seed {seed}")
            tried(ground, one, seed, ground.out / "runs" / folder_name(one.name) / f"seed-{seed}")
            if seed in one.errors:
                say(ground.options, f"  {one.errors[seed]}")


def tried(ground: Ground, one: Cell, seed: int, folder: Path, *, split: Path | None = None) -> None:
    """One run of a cell; whatever goes wrong, but for the person who stops it, is its error."""
    try:
        one.done[seed] = ground.run(one.recipe, folder, seed, split=split)
    except TonearmError as error:
        one.errors[seed] = error.message
    except Exception as error:
        one.errors[seed] = f"{type(error).__name__}: {error} (a bug: please report it)"


def told(one: Cell, part: str, resamples: int) -> dict[str, Any]:
    """A cell as a row of the report, with its figures over the seeds that are there; its answers are kept in it."""
    row: dict[str, Any] = {
        "name": one.name, "settings": one.settings, "status": "open", "error": None, "runs": [], "seeds": [],
        **dict.fromkeys(_rows.FIGURES), "parameters": None, "seconds": None, "adapted": [],
    }  # fmt: skip
    if one.errors:
        row |= {"status": "failed", "error": next(iter(one.errors.values()))}
    if not one.done:
        return row
    about = [runs.read_json(folder / "run.json") for folder in one.done.values()]
    system = _rows.System(tuple(one.done.values()), tuple(about))
    figures, one.answers = _rows.figures(system, part, resamples)
    row |= {key: figures.get(key) for key in (*_rows.FIGURES, "part", "chosen_on_this")}
    row |= {
        "status": "partly" if one.errors else "finished",
        "runs": [str(folder) for folder in one.done.values()],
        "seeds": list(one.done),
        "parameters": about[0].get("parameters"),
        "seconds": round(sum(one.get("seconds") or 0.0 for one in about), 2),
        "adapted": list(about[0].get("adapted") or []),
    }
    return row


def adapted(folders: Sequence[str | Path]) -> list[str]:
    """What the data had otherwise than the recipe wants, once for all runs that had it so."""
    found: dict[str, None] = {}
    for folder in folders:
        found |= dict.fromkeys(runs.read_json(Path(folder) / "run.json").get("adapted") or [])
    return [f"Adapted: {sentence}." for sentence in found]


def same_seeds(a: Answers, b: Answers) -> tuple[Answers, Answers]:
    """Both with the seeds that both have, so that they are paired; as they are where they have none in common."""
    common = [seed for seed in a.seeds if seed in b.seeds]
    if not common or a.seeds == b.seeds:
        return a, b
    return tuple(
        replace(one, hits=one.hits[[one.seeds.index(seed) for seed in common]], seeds=tuple(common)) for one in (a, b)
    )  # type: ignore[return-value]


def about(ground: Ground) -> dict[str, Any]:
    """What every report of an experiment says first."""
    sizes = {part: len(ids) for part, ids in ground.split.parts.items()}
    claim = ground.recipe.claim
    return {
        "recipe": ground.recipe.name,
        "title": ground.recipe.system.title,
        "claim": claim.model_dump() if claim else None,
        "data": ground.table.name,
        "on": ground.part,
        "protocol": ground.split.protocol,
        "split": {"name": ground.split.name, "hash": ground.split.hash, "sizes": sizes},
        "folder": str(ground.out),
        "code": runs.code_version(),
        "machine": runs.machine(),
    }


def say(options: Options, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr, flush=True)
