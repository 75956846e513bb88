"""What a report of a run is made of: one run, the seeds of one recipe, or its folds, read into one shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import evaluation, runs
from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation import Predictions
from tonearm.evaluation.figures import independent_groups


@dataclass(frozen=True)
class Member:
    """One finished run folder: run.json, model.json and the curves."""

    folder: Path
    about: dict[str, Any]
    model: dict[str, Any]
    curves: list[dict[str, float]]

    @property
    def name(self) -> str:
        return f"fold {self.about['fold']}" if self.about.get("fold") else f"seed {self.about['seed']}"


@dataclass(frozen=True)
class RunData:
    """`how` is one, seeds or folds. `figures` by part are as `metrics.json` has them: of seeds their means, with the
    counts of all; `told` are the predictions of the part that is reported, a Predictions per member.
    """

    folder: Path
    how: str
    members: tuple[Member, ...]
    part: str
    unit: str
    figures: dict[str, dict[str, Any]]
    told: tuple[Predictions, ...]
    recipe: Any
    by_seed: dict[str, Any] | None

    @property
    def about(self) -> dict[str, Any]:
        return self.members[0].about

    @property
    def classes(self) -> tuple[str, ...]:
        return self.told[0].classes

    @property
    def own(self) -> dict[str, Any]:
        """The figures of the part that is reported."""
        return self.figures[self.part]

    def pooled(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Truth, probabilities and independent groups of all rows of all members."""
        truth = np.concatenate([one.truth for one in self.told])
        probabilities = np.concatenate([one.probabilities for one in self.told])
        groups = []
        for one in self.told:
            found, _ = independent_groups(one)
            # A track of an unknown artist stands alone, yet it is the same one under every seed.
            groups += [g or i for g, i in zip(one.ids if found is None else found, one.ids, strict=True)]
        return truth, probabilities, groups

    def averaged(self) -> Predictions:
        """One row per track: the mean over seeds, the folds one after the other."""
        if self.how == "folds":
            return _joined(self.told)
        first = self.told[0]
        mean = np.mean([one.probabilities for one in self.told], axis=0)
        return evaluation.checked_predictions(
            first.ids, first.truth, mean / mean.sum(axis=1, keepdims=True), first.classes, groups=first.groups,
            unit=first.unit,
        )  # fmt: skip


def read_run(folder: str | Path) -> RunData:
    """The run in `folder`, or the seeds or folds of one recipe that `tonearm train --seeds/--folds` left there."""
    from tonearm.recipes import read

    folder = Path(folder)
    if not folder.is_dir():
        raise TonearmError(
            f"{folder}: there is no such folder", hint="`tonearm runs FOLDER` lists runs", code="missing"
        )
    how, below = _members(folder)
    members = tuple(_member(one) for one in below)
    metrics = [runs.read_json(one.folder / "metrics.json") for one in members]
    try:
        parts = list(metrics[0]["parts"])
        part = "test" if "test" in parts else parts[0]
        units = runs.unit_of(metrics[0], part)
        shown = [part] if how == "folds" else parts
        each = {p: [one["parts"][p][runs.unit_of(one, p)] for one in metrics] for p in shown}
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise TonearmError(f"{folder}: not a whole run: {error!r}", code="unreadable") from None
    unit = units.removesuffix("s")
    told = tuple(runs.read_predictions(one.folder, part, unit=unit) for one in members)
    recipe = read(members[0].folder / "recipe.yaml")
    by_seed = None
    if how == "folds":
        figures = {part: evaluation.summary(_joined(told), resamples=1000)}
    else:
        figures = {p: _mean(found) for p, found in each.items()}
    if how == "seeds":
        from tonearm.recipes._many import over_seeds

        by_seed = over_seeds([one.folder for one in members])
        for p, found in by_seed.items():
            figures[p] |= {"accuracy": found["accuracy"], "interval": found["interval"]}
    return RunData(folder, how, members, part, unit, figures, told, recipe, by_seed)


def _members(folder: Path) -> tuple[str, list[Path]]:
    if runs.is_run(folder):
        return "one", [folder]
    if (folder / "summary.json").is_file():
        summary = runs.read_json(folder / "summary.json")
        below = [folder / name for name in summary.get("runs", [])]
        if below and all(map(runs.is_run, below)):
            return ("folds" if summary.get("folds") else "seeds"), below
    found = list(runs.find([folder]))
    if not found:
        raise TonearmError(f"{folder}: no run here", hint="`tonearm train … -o RUN` leaves one", code="missing")
    names = ", ".join(str(one) for one in found[:3])
    raise UsageError(
        f"{folder}: there are {len(found)} runs below it, and a report is of one: {names}{' …' if found[3:] else ''}",
        hint="name one of them, or put them side by side: tonearm compare FOLDER --html page.html",
    )


def _member(folder: Path) -> Member:
    about = runs.read_json(folder / "run.json")
    status = about.get("status") if isinstance(about, dict) else None
    if status != "finished":
        why = (about.get("error") or {}).get("message", "") if isinstance(about, dict) else ""
        raise TonearmError(
            f"{folder}: the run is not finished: {status or 'its run.json says nothing'}" + (f": {why}" if why else ""),
            hint="the command that began it goes on with it; `tonearm runs` shows how far it is",
            code="unfinished",
        )
    return Member(folder, about, runs.read_json(folder / "model" / "model.json"), runs.read_curves(folder))


def _joined(told: Sequence[Predictions]) -> Predictions:
    known = any(one.groups is not None for one in told)
    groups = [group for one in told for group in (one.groups or [""] * len(one))] if known else None
    return evaluation.checked_predictions(
        [name for one in told for name in one.ids],
        np.concatenate([one.truth for one in told]),
        np.concatenate([one.probabilities for one in told]),
        told[0].classes, groups=groups, unit=told[0].unit,
    )  # fmt: skip


def _mean(figures: Sequence[Any], name: str = "") -> Any:
    """The mean of figures of equal shape, nested as they are; counts of confusions are summed."""
    first = figures[0]
    if len(figures) == 1 or isinstance(first, str | bool):
        return first
    if isinstance(first, dict):
        return {key: _mean([one[key] for one in figures], key) for key in first}
    if isinstance(first, list):
        if name == "counts":
            return np.sum(figures, axis=0).tolist()
        return [_mean(some, name) for some in zip(*figures, strict=True)]
    if first is None or any(one is None for one in figures):
        return None
    mean = sum(figures) / len(figures)
    return round(mean) if isinstance(first, int) else mean
