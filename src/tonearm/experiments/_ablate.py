"""A recipe taken apart: what each setting is worth, by training with others in its place.

The report is plain data:

    {"recipe", "title", "claim", "data", "on", "protocol", "split", "folder", "seeds", "grid",
     "axes": [{"setting", "values", "as_it_is"}],
     "cells": [{"name", "settings", "status": finished, partly, failed or open, "error", "runs", "seeds", "n",
                "accuracy", "interval", "sd_over_seeds", "interval_over_seeds", "by_seed", "f1_macro", "parameters",
                "seconds", …}],
     "effects": [{"setting", "value", "against", "over": cells that were averaged, "difference", "interval", "p_value",
                  "p_holm", "told_apart", "interval_over_tracks", "interval_over_seeds", "by_seed", …}],
     "best": name of a cell, "notes": [sentences]}
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import runs
from tonearm.errors import TonearmError, UsageError
from tonearm.experiments import _effects, _ground
from tonearm.experiments._ground import Cell, Ground
from tonearm.recipes._run import Options
from tonearm.recipes._schema import Recipe

FILE = "ablation.json"


def ablate(
    recipe: Recipe, data: str, out: str | Path, vary: Mapping[str, Sequence[Any]], options: Options, *,
    seeds: int = 1, grid: bool = False, on: str = "valid",
) -> dict[str, Any]:  # fmt: skip
    """Train `recipe` with every value of `vary`, one setting at a time or as a grid, and report what each is worth.

    Judged on validation, of which nothing was used for learning or choosing; the test part is left out unless `on`
    names it. Finished runs are kept: the same command goes on, and more values or seeds may be asked for later.
    """
    axes = _axes(recipe, vary)
    ground = _ground.ground(recipe, data, out, options, kind="ablation", on=on)
    cells = _cells(recipe, axes, grid)
    try:
        _ground.run_cells(ground, cells, range(seeds))
    finally:  # what is done is reported, also where somebody stopped it
        report = _report(ground, axes, cells, seeds, grid)
        runs.write_json(ground.out / FILE, report)
    return report


def parse_vary(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`key=a,b,c` texts as dotted paths and their values, each YAML: lists and mappings may stand among them."""
    import yaml

    found: dict[str, list[Any]] = {}
    for text in texts:
        path, equals, values = text.partition("=")
        try:
            parsed = yaml.safe_load(f"[{values}]")
        except yaml.YAMLError:
            parsed = None
        if not equals or not path.strip() or not parsed:
            raise UsageError(
                f"what varies is key=value,value,…, not {text!r}", hint="for example: --vary model.kernel_size=3,5,7"
            )
        found.setdefault(path.strip(), []).extend(parsed)
    return found


def _axes(recipe: Recipe, vary: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    if not vary:
        raise UsageError("nothing varies", hint="for example: --vary model.kernel_size=3,5,7")
    axes = []
    for setting, values in vary.items():
        distinct: list[Any] = []
        for value in values:
            if not any(_same(value, one) for one in distinct):
                distinct.append(value)
        axes.append({"setting": setting, "values": distinct, "as_it_is": value_of(recipe, setting)})
    return axes


def value_of(recipe: Recipe, path: str) -> Any:
    """What a recipe has for a setting: its own value, or the default of the model, net, feature or training."""
    section, _, key = path.partition(".")
    at: Any = recipe.config().get(section)
    for name in filter(None, key.split(".")):
        at = at.get(name) if isinstance(at, Mapping) else None
    if at is not None or not key:
        return at
    try:
        defaults = _defaults(recipe, section)
        if key == "layers" and defaults.get(key, 0) is None:
            return len(value_of(recipe, f"{section}.filters"))  # as many as there are filters
        return defaults.get(key)
    except (TonearmError, ImportError):
        return None


def _defaults(recipe: Recipe, section: str) -> dict[str, Any]:
    if section == "training":
        from tonearm.training.settings import Settings

        return Settings().config()
    if section == "feature":
        from tonearm import features

        return features.from_config(recipe.feature).config()
    if section not in ("model", "deep"):
        return {}
    from tonearm import models

    kind = (getattr(recipe, section) or {}).get("kind")
    before = {}
    if kind in models.registry:
        made = models.registry.get(kind)
        before = {one.name: one.default for one in dataclasses.fields(models.Classical) if one.name == "scale"}
    else:
        from tonearm.models import nets

        made = nets.registry.get(kind)
    parameters = inspect.signature(made).parameters.values()
    return before | {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


def _same(a: Any, b: Any) -> bool:
    """Equal as settings: a tuple is a list, 1 is 1.0."""
    return json.dumps(a, default=str) == json.dumps(b, default=str) or (a == b and not isinstance(a, bool))


def _cells(recipe: Recipe, axes: Sequence[dict[str, Any]], grid: bool) -> list[Cell]:
    """The recipe as it is, and each value in the place of its own; or all combinations. Never the same twice."""
    choices = []
    if grid:
        for values in itertools.product(*(axis["values"] for axis in axes)):
            choices.append({axis["setting"]: value for axis, value in zip(axes, values, strict=True)})
    else:
        choices.append({})
        choices += [{axis["setting"]: value} for axis in axes for value in axis["values"]]
    cells: dict[str, Cell] = {}
    for choice in choices:
        moved = _moved(axes, choice)
        cells.setdefault(_ground.named(moved), _ground.cell(recipe, moved))
    return list(cells.values())


def _report(ground: Ground, axes: list, cells: Sequence[Cell], seeds: int, grid: bool) -> dict[str, Any]:
    resamples = ground.options.resamples
    rows = [_ground.told(one, ground.part, resamples) for one in cells]
    by_choice = {_ground.named(one.settings): one for one in cells}
    effects = []
    for axis in axes:
        effects += _of_axis(axis, axes, by_choice, grid, resamples)
    _effects.corrected(effects)
    done = [row for row in rows if row["accuracy"] is not None]
    best = max(done, key=lambda row: row["accuracy"])["name"] if done else None
    return {
        **_ground.about(ground), "seeds": seeds, "grid": grid, "axes": axes, "cells": rows, "effects": effects,
        "best": best, "notes": _notes(ground, rows, seeds),
    }  # fmt: skip


def _of_axis(
    axis: Mapping[str, Any], axes: Sequence[Mapping[str, Any]], cells: Mapping[str, Cell], grid: bool, resamples: int
) -> list[dict[str, Any]]:
    """Each value of a setting against the recipe's own (or the first, in a grid without it), over what else varies."""
    values, against = axis["values"], axis["as_it_is"]
    if grid and not any(_same(value, against) for value in values):
        against = values[0]
    others = [other for other in axes if other is not axis] if grid else []
    found = []
    for value in values:
        if _same(value, against):
            continue
        ours, theirs = [], []
        for choice in itertools.product(*(other["values"] for other in others)):
            rest = dict(zip((other["setting"] for other in others), choice, strict=True))
            names = [_ground.named(_moved(axes, {**rest, axis["setting"]: one})) for one in (value, against)]
            pair = [cells.get(name) for name in names]
            if all(one is not None and one.answers is not None for one in pair):
                a, b = _ground.same_seeds(pair[0].answers, pair[1].answers)
                ours.append(_effects.in_order(a, b.ids))
                theirs.append(b)
        if ours:
            told = _effects.effect(_averaged(ours), _averaged(theirs), resamples=resamples)
            found.append(
                {"setting": axis["setting"], "value": value, "against": against, "over": len(ours), **told}
            )  # fmt: skip
    return found


def _moved(axes: Sequence[Mapping[str, Any]], choice: Mapping[str, Any]) -> dict[str, Any]:
    """What a choice has otherwise than the recipe as it is."""
    return {
        axis["setting"]: choice[axis["setting"]]
        for axis in axes
        if axis["setting"] in choice and not _same(choice[axis["setting"]], axis["as_it_is"])
    }


def _averaged(answers: Sequence[_effects.Answers]) -> _effects.Answers:
    """Answers of several cells as one: who was right, on average over them; those that lack a seed are left out."""
    seeds = answers[0].seeds
    same = [one for one in answers if one.seeds == seeds]
    hits = np.mean([one.hits for one in same], axis=0)
    return _effects.Answers(hits, seeds, answers[0].ids, answers[0].groups, answers[0].over)


def _notes(ground: Ground, rows: Sequence[Mapping[str, Any]], seeds: int) -> list[str]:
    notes = []
    if ground.part == "test":
        notes.append(
            "Judged on the test part, at somebody's word: a setting that is chosen by these figures has been chosen by "
            "the test, and no honest figure of it is left."
        )
    else:
        notes.append("Judged on validation tracks; the test part was left out and not read.")
    if any(row.get("chosen_on_this") for row in rows):
        notes.append(
            f"The epoch was chosen on the part that is judged ({ground.part}): all figures are a little too good."
        )
    notes += _ground.adapted([row["runs"][0] for row in rows if row["runs"]])
    if seeds == 1:
        notes.append("One seed: how far chance of training moves a figure is not known. --seeds 3 tells.")
    elif seeds == 2:
        notes.append("Two seeds say little of a third, so intervals are very wide: --seeds 3 or more narrows them.")
    failed = [row for row in rows if row["status"] in ("failed", "partly")]
    if failed:
        notes.append(f"{len(failed)} of {len(rows)} settings failed, wholly or with some seed: see their rows.")
    left = sum(row["status"] == "open" for row in rows)
    if left:
        notes.append(f"{left} of {len(rows)} settings are not trained yet: the same command goes on.")
    return notes
