"""Settings of a recipe tuned by validation, or by folds apart by artist; the test part is not opened.

The report is plain data:

    {"recipe", …, "metric", "judged_by", "space": {setting: …}, "wanted", "counts": {state: n},
     "trials": [{"number", "state": complete, pruned, failed or running, "value", "settings", "as_it_is", "epochs",
                 "seconds", "folder", "error"}],
     "best": None or a trial with "n", "accuracy", "interval", "as_it_is": None or the trial of the recipe's own values,
     "importance": {setting: share}, "set_line", "best_recipe", "notes"}
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import runs
from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.experiments import _ground, _space, _study
from tonearm.experiments._ablate import value_of
from tonearm.experiments._ground import Ground
from tonearm.protocols import make_split, write_split
from tonearm.recipes import _splits
from tonearm.recipes._material import rows_of
from tonearm.recipes._run import Options
from tonearm.recipes._schema import Recipe, from_config
from tonearm.recipes._search import Choice, Range, spaces

FILE, BEST = "tuning.json", "best.yaml"
METRICS = {"accuracy": "maximize", "balanced_accuracy": "maximize", "f1_macro": "maximize", "log_loss": "minimize"}
_FEW = 20


@dataclass(frozen=True)
class _Task:
    ground: Ground
    spaces: Mapping[str, Choice | Range]
    metric: str
    splits: tuple[Path, ...]
    folds: bool

    @property
    def worst_first(self) -> bool:
        return METRICS[self.metric] == "minimize"


def tune(
    recipe: Recipe, data: str, out: str | Path, options: Options, *, trials: int = 50, on: str = "valid",
    metric: str = "accuracy", search: Mapping[str, Any] | None = None, storage: str | None = None, study: str = "",
    timeout_seconds: float | None = None, prune: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Try settings until the study has `trials`, and leave the best as a recipe in `out`/best.yaml.

    Several processes may work in one folder; a killed one loses nothing but its epoch. `on` is valid or folds:K.
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    _study.optuna()
    recipe = from_config({**recipe.config(), "search": {**recipe.search, **(search or {})}}, where=recipe.name)
    if not recipe.search:
        raise UsageError(f"{recipe.name} does not say what may change", hint=f"for example: {_space.EXAMPLE}")
    folds = _folds(on)
    ground = _ground.ground(recipe, data, out, options, kind="tuning")
    task = _Task(ground, spaces(recipe.search, recipe.name), metric, _splits_for(ground, folds), bool(folds))
    epochs = int(recipe.training.get("epochs", 50))
    prune = prune and not recipe.stages
    opened = _study.opened(
        ground.out, storage, study or recipe.name, METRICS[metric], prune, 1 if folds else max(1, epochs // 5)
    )
    shifts = _study.Shifts(opened, ground.out)
    about = {
        "recipe": {key: value for key, value in recipe.config().items() if key not in ("claim", "caveats", "system")},
        "split": ground.split.hash, "metric": metric, "on": on, "seed": options.seed,
    }  # fmt: skip
    with shifts.alone():
        _study.same_study(opened, json.loads(json.dumps(about, default=str)))
    try:
        _work(task, shifts, trials, timeout_seconds, prune)
    finally:
        with shifts.alone():
            report = _report(task, shifts, on, trials)
            runs.write_json(ground.out / FILE, report)
    return report


def _folds(on: str) -> int:
    if on == "valid":
        return 0
    name, _, count = on.partition(":")
    if name != "folds" or not count.isdigit() or int(count) < 2:
        raise UsageError(
            f"selected on {on!r}?",
            hint="valid, or folds:5; tuning by the test part would leave no honest figure, so it is not offered",
        )
    return int(count)


def _splits_for(ground: Ground, folds: int) -> tuple[Path, ...]:
    """The split files of a trial: one, or one per fold of all tracks that are not test."""
    if not folds:
        return (ground.out / "split.json",)
    table = ground.table
    kept = rows_of(table, np.flatnonzero(np.isin(table.ids[table.row_track], list(ground.ids))))
    by = "artist" if (kept.artist != "").any() else "track"
    dealt = make_split(kept, by, folds=folds)
    found = []
    for number in range(1, folds + 1):
        one = dealt.fold(number)
        one = replace(one, parts={"train": one.parts["train"], "valid": one.parts["test"]})
        found.append(write_split(_splits.ready(one, kept)[0], ground.out / "folds" / f"fold-{number}.json"))
    return tuple(found)


def _work(task: _Task, shifts: _study.Shifts, trials: int, timeout_seconds: float | None, prune: bool) -> None:
    end = time.monotonic() + (timeout_seconds if timeout_seconds is not None else float("inf"))
    recipe, options = task.ground.recipe, task.ground.options
    first, _ = _study.own_values({path: value_of(recipe, path) for path in task.spaces}, task.spaces)
    states = _study.optuna().trial.TrialState
    while time.monotonic() < end:
        with shifts.next(trials, first, options.seed) as trial:
            if trial is None:
                return
            settings = _space.suggested(trial, task.spaces)
            trial.set_user_attr("settings", settings)
            name = _ground.named(settings)
            _ground.say(options, f"[trial {trial.number + 1} of {trials}] {name}")
            try:
                value = _value(task, shifts, trial, settings, prune)
            except TonearmError as error:
                pruned = error.code == "pruned"
                trial.set_user_attr("error", error.message)
                shifts.study.tell(trial, state=states.PRUNED if pruned else states.FAIL)
                _ground.say(options, f"  {error.message}")
            except Exception as error:
                trial.set_user_attr("error", f"{type(error).__name__}: {error} (a bug: please report it)")
                shifts.study.tell(trial, state=states.FAIL)
                _ground.say(options, f"  {trial.user_attrs['error']}")
            else:
                shifts.study.tell(trial, value)
                _ground.say(options, f"  {task.metric} {value:.4f}; best so far {shifts.study.best_value:.4f}")


def _value(task: _Task, shifts: _study.Shifts, trial: Any, settings: Mapping[str, Any], prune: bool) -> float:
    """One trial: its runs, and the metric on what they were not chosen by."""
    ground = task.ground
    recipe = _ground.with_settings(ground.recipe, settings)
    name = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:12]
    trial.set_user_attr("folder", f"trials/{name}")
    values, weights = [], []
    with shifts.alone_with(name):
        for number, split in enumerate(task.splits, 1):
            folder = ground.out / "trials" / name / (f"fold-{number}" if task.folds else "run")
            watch = None if task.folds or not prune else _watch(task, trial, folder)
            ground.run(recipe, folder, ground.options.seed, split=split, watch=watch)
            metrics = runs.read_json(folder / "metrics.json")["parts"][ground.part]["tracks"]
            values.append(metrics[task.metric])
            weights.append(metrics["n"])
            if task.folds:
                trial.report(float(np.average(values, weights=weights)), number)
                if prune and number < len(task.splits) and trial.should_prune():
                    raise TonearmError(f"stopped after {number} folds: worse than most trials there", code="pruned")
    return float(np.average(values, weights=weights))


def _watch(task: _Task, trial: Any, folder: Path) -> Callable[[dict[str, float]], None]:
    """Tell Optuna of each epoch, on the part by which epochs are chosen, and stop what is worse than most."""
    key = "valid_track_loss" if task.worst_first else "valid_accuracy"  # the metric is of tracks
    if (folder / "checkpoint").is_dir():
        for row in runs.read_curves(folder):  # what a killed process had seen before
            trial.report(row[key], int(row["epoch"]))

    def watch(row: dict[str, float]) -> None:
        trial.report(row[key], int(row["epoch"]))
        if trial.should_prune():
            raise TonearmError(
                f"stopped after epoch {int(row['epoch'])}: worse than most trials there", code="pruned"
            )  # fmt: skip

    return watch


def _report(task: _Task, shifts: _study.Shifts, on: str, wanted: int) -> dict[str, Any]:
    ground = task.ground
    rows = [_row(ground, one) for one in shifts.told()]
    done = [row for row in rows if row["state"] == "complete"]
    ordered = sorted(done, key=lambda row: (row["value"] if task.worst_first else -row["value"], row["number"]))
    best = ordered[0] if ordered else None
    first = next((row for row in done if row["as_it_is"]), None)
    report = {
        **_ground.about(ground),
        "metric": task.metric,
        "judged_by": on,
        "space": {path: space.config() for path, space in task.spaces.items()},
        "wanted": wanted,
        "counts": dict(Counter(row["state"] for row in rows)),
        "trials": rows,
        "best": {**best, **_figures(task, best)} if best else None,
        "as_it_is": first,
        "importance": _importance(shifts.study, done),
        "set_line": _set_line(best["settings"]) if best else None,
        "best_recipe": str(_write_best(task, best, len(rows), on)) if best else None,
    }
    notes = _notes(report)
    if best:
        notes += _ground.adapted([path.parent for path in (ground.out / best["folder"]).glob("*/run.json")][:1])
    return {**report, "notes": notes}


def _row(ground: Ground, trial: Any) -> dict[str, Any]:
    told = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
    settings = dict(trial.user_attrs.get("settings") or {})
    folder = trial.user_attrs.get("folder")
    own = {path: value_of(ground.recipe, path) for path in settings}
    return {
        "number": trial.number,
        "state": told[trial.state.name],
        "value": trial.value if trial.state.name == "COMPLETE" else None,
        "settings": settings,
        "as_it_is": bool(settings) and all(_space.encoded(own[path]) == _space.encoded(settings[path]) for path in own),
        "epochs": max(trial.intermediate_values, default=None),
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "folder": folder,
        "error": trial.user_attrs.get("error"),
    }


def _figures(task: _Task, best: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy of the best on what it was chosen by, with n and interval; of folds, over all their tracks."""
    from tonearm import evaluation
    from tonearm.evaluation.figures import independent_groups
    from tonearm.evaluation.metrics import right

    base = task.ground.out / best["folder"]
    folders = [base / (f"fold-{number}" if task.folds else "run") for number in range(1, len(task.splits) + 1)]
    try:
        some = [runs.read_predictions(folder, task.ground.part) for folder in folders]
    except TonearmError:
        return {"n": None, "accuracy": None, "interval": [None, None]}  # trained by another machine
    hits = np.concatenate([right(one.truth, one.probabilities) for one in some]).astype(float)
    names = [independent_groups(one) for one in some]
    known = all(groups is not None for groups, _ in names)
    groups = [group for groups, _ in names for group in groups] if known else None
    rate = evaluation.rate_interval(hits, groups=groups, resamples=task.ground.options.resamples)
    return {"n": rate.n, "accuracy": rate.value, "interval": rate.pair()}


def _importance(study: Any, done: list[dict[str, Any]]) -> dict[str, float]:
    """Which settings mattered, as shares (PED-ANOVA, Watanabe et al., IJCAI 2023); none where there is no telling."""
    if len(done) < 4 or len({row["value"] for row in done}) < 2:
        return {}
    library = _study.optuna()
    try:
        evaluator = library.importance.PedAnovaImportanceEvaluator()
        found = library.importance.get_param_importances(study, evaluator=evaluator)
    except Exception:  # too few of one kind of value: no importance is no reason to lose the rest
        return {}
    return {path: round(float(share), 4) for path, share in found.items()}


def _set_line(settings: Mapping[str, Any]) -> str:
    return " ".join(f"--set {shlex.quote(f'{path}={_ground.plain(value)}')}" for path, value in settings.items())


def _write_best(task: _Task, best: Mapping[str, Any], trials: int, on: str) -> Path:
    """The recipe with the best settings: its name says that it was tuned, its caveats by what."""
    import yaml

    ground = task.ground
    config = _ground.with_settings(ground.recipe, best["settings"]).config()
    config |= {"name": f"{ground.recipe.name}-tuned", "claim": None, "search": dict(ground.recipe.search)}
    sentence = f"The settings are the best of {trials} trials by {task.metric} on {on} of {ground.table.name}."
    config["caveats"] = [*config["caveats"], sentence]
    from_config(config)
    path = ground.out / BEST
    runs.write_text(path, yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=110))
    return path


def _notes(report: Mapping[str, Any]) -> list[str]:
    notes = ["The test part was left out: no trial has read it."]
    best, first, counts = report["best"], report["as_it_is"], report["counts"]
    if best:
        complete = counts.get("complete", 0)
        notes.append(
            f"The best of {complete} trials owes part of its figure to chance: on other tracks expect less. Train "
            "best.yaml and look at the test part once."
        )
        if first and first["value"] == best["value"]:
            notes.append("Nothing that was tried is better than the recipe as it is.")
        elif first:
            notes.append(
                f"The recipe as it is has {report['metric']} {first['value']:.4f}, the best {best['value']:.4f}."
            )
        if complete < _FEW and report["importance"]:
            notes.append(f"The importance of settings is little more than a guess after {complete} trials.")
    if counts.get("failed"):
        notes.append(f"{counts['failed']} trials failed; their rows say why.")
    finished = sum(counts.get(state, 0) for state in ("complete", "pruned", "failed"))
    if finished < report["wanted"]:
        notes.append(f"{finished} of {report['wanted']} trials are done: the same command goes on.")
    return notes
