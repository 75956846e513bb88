"""One training from recipe to run folder. A folder that was begun is gone on with, one that is finished is kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import evaluation, runs
from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.protocols import Split, read_split, registry, write_split
from tonearm.recipes import _fit, _splits
from tonearm.recipes._fits import known
from tonearm.recipes._load import changed
from tonearm.recipes._material import Material, open_material
from tonearm.recipes._prepare import frames_for, quicker, segmented
from tonearm.recipes._progress import Progress
from tonearm.recipes._schema import Recipe

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a recipe is run, beside what it says itself."""

    protocol: Any = None
    split_file: str | None = None
    seed: int = 0
    fold: int = 0
    adapt: bool = False
    quick: bool = False
    leaky_on_purpose: bool = False
    quiet: bool = False
    threads: int | None = None
    workers: int | None = None
    accelerator: str = "auto"
    devices: int = 1
    machines: int = 1
    resamples: int = 2000
    hold_back: bool = False

    def __post_init__(self) -> None:
        if self.accelerator not in DEVICES:
            raise unknown_name("device", self.accelerator, DEVICES)


def run(
    recipe: Recipe, data: str, out: str | Path, options: Options, *, material: Material | None = None,
    watch: Callable[[dict[str, float]], None] | None = None,
) -> Path:  # fmt: skip
    """Train `recipe` on `data` and leave the run folder `out`. `material` saves opening it again for every seed.

    `watch` is called with the curves of each epoch; what it raises ends the training, as code "pruned" if it says so.
    """
    out = Path(out)
    if options.quick:
        recipe = quicker(recipe)
        options = replace(options, resamples=200)
    _refuse_without_weights(recipe, options)
    if material is None:
        material = open_material(
            recipe, data, adapt=options.adapt, quiet=options.quiet, workers=options.workers
        )  # fmt: skip
    material, split, leaks = split_of(recipe, material, options)
    frames, material = frames_for(recipe, material)
    recipe, material = _without_weights(recipe, material, options)
    about = _about(recipe, material, split, leaks, options)
    if _is_done(out, about):
        return out
    threads = _threads(options)
    about["threads"] = threads
    runs.write_text(out / "recipe.yaml", _as_yaml(recipe))
    write_split(split, out / "split.json")
    began = time.monotonic()
    runs.write_json(out / "run.json", {**about, "status": "running"})
    progress = Progress(recipe, out, quiet=options.quiet)
    try:
        parts = _positions(material, split)
        job = _fit.Job(
            recipe, material, parts, _splits.choosing_part(split), frames, options.seed, out,
            _both(progress.epoch, watch), progress.step, options.accelerator, threads, options.hold_back,
            options.devices, options.machines,
        )  # fmt: skip
        fitted = _fit.fit(job)
        _leave(out, job, fitted, split, options)
    except KeyboardInterrupt:
        runs.write_json(out / "run.json", {**about, "status": "stopped"})
        raise
    except TonearmError as error:
        told = {"code": error.code, "message": error.message}
        status = "failed"
        if error.code == "pruned":
            status = "pruned"
            shutil.rmtree(out / "checkpoint", ignore_errors=True)  # nobody goes on with it
        runs.write_json(out / "run.json", {**about, "status": status, "error": told})
        raise
    finally:
        progress.close()
    about |= {
        "seconds": round(time.monotonic() - began + progress.seconds_before, 2),
        "peak_memory_mb": runs.peak_memory_mb(),
        "parameters": fitted.parameters,
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "stopped": fitted.stopped,
        **fitted.about,
    }
    runs.write_json(out / "run.json", {**about, "status": "finished"})
    shutil.rmtree(out / "checkpoint", ignore_errors=True)
    return out


def _both(report: Callable, watch: Callable | None) -> Callable:
    def called(row: dict[str, float]) -> None:
        report(row)
        watch(row)

    return called if watch else report


def split_of(recipe: Recipe, material: Material, options: Options) -> tuple[Material, Split, list]:
    """The split that was asked for, checked, and the material whose rows it speaks of."""
    if options.split_file:
        split = read_split(options.split_file)
        if split.leaky and not options.leaky_on_purpose:
            raise UsageError(f"{options.split_file}: a leaky split", hint="--leaky-on-purpose if it must be")
        if split.folds:
            split = split.fold(options.fold or 1, valid=split.folds > 2)
        material = segmented(recipe, material) if split.unit == "row" else material
    else:
        protocol = options.protocol or _splits.default_protocol(material.table)
        name = protocol if isinstance(protocol, str) else protocol["name"]
        if registry.get(name).unit == "row":
            material = segmented(recipe, material)
        split = _splits.split_by(
            material.table, protocol, fold=options.fold, leaky_on_purpose=options.leaky_on_purpose
        )  # fmt: skip
    split, leaks = _splits.ready(split, material.table)
    return material, split, leaks


def _lacks_weights(recipe: Recipe) -> bool:
    return recipe.model["kind"].startswith("vgg16") and not recipe.model.get("weights")


def _refuse_without_weights(recipe: Recipe, options: Options) -> None:
    """Before any feature is computed: the net itself would say so only after all of them."""
    if _lacks_weights(recipe) and not options.adapt:
        raise TonearmError(
            f"{recipe.name}: VGG16 begins with the weights of ImageNet, and none were given",
            hint="--set model.weights=PATH of vgg16-397923af.pth or of the same as safetensors, =imagenet to fetch it "
            "(0.55 GB), =scratch to begin without; --adapt begins without and marks the run",
            code="needs-weights",
        )


def _without_weights(recipe: Recipe, material: Material, options: Options) -> tuple[Recipe, Material]:
    """A net that wants a file of weights that was not given begins from scratch, where adapting is allowed."""
    if not _lacks_weights(recipe):
        return recipe, material
    scratch = {"model.weights": "scratch"}
    note = "from scratch: the weights of ImageNet were not given"
    if recipe.model["kind"] == "vgg16-progressive":
        note += ", so the frozen layers are random"
    return changed(recipe, scratch), material.noted(note)


def _positions(material: Material, split: Split) -> dict[str, np.ndarray]:
    """Rows of the table by part, with every genre of the judged parts in train."""
    parts = split.rows(material.table)
    wanted = ["train", *([_splits.SELECT] if _splits.SELECT in parts else []), *_splits.judged_parts(split)]
    labels = material.labels
    learnt = set(labels[parts["train"]].tolist())
    for part in wanted[1:]:
        foreign = sorted({material.classes[i] for i in set(labels[parts[part]].tolist()) - learnt})
        if foreign:
            raise UsageError(
                f"{part} has genres that train lacks: {', '.join(foreign)}",
                hint="no model can answer what it never heard: choose another split, or data with more artists each",
                code="classes",
            )
    return {part: parts[part] for part in wanted}


def _about(recipe: Recipe, material: Material, split: Split, leaks: list, options: Options) -> dict[str, Any]:
    """What decides the numbers of a run, and where they come from."""
    return {
        "recipe": recipe.name,
        "key": _key(recipe.config(), material.hashes, split.hash, options.seed, material.adapted, options.hold_back),
        "seed": options.seed,
        "fold": options.fold,
        "quick": options.quick,
        "data": {
            "name": material.name,
            "source": material.source,
            "sha256": dict(material.hashes),
            "rows": len(material.rows),
            "tracks": len(material.table),
            "classes": list(material.classes),
            "feature": known(material.feature),
        },
        "protocol": split.protocol,
        "leaky": split.leaky,
        "split": {
            "name": split.name,
            "hash": split.hash,
            "sizes": {part: len(ids) for part, ids in split.parts.items()},
        },
        "leaks": [{"kind": leak.kind, "parts": list(leak.parts), "count": leak.count} for leak in leaks],
        "adapted": list(material.adapted),
        "code": runs.code_version(),
        "libraries": runs.libraries(),
        "machine": runs.machine(),
        "options": {
            key: value
            for key, value in asdict(options).items()
            if key in ("devices", "machines", "adapt", "leaky_on_purpose", "accelerator", "resamples", "hold_back")
        },
    }


# What of a recipe decides numbers. Its claim and caveats may be put better without a new training.
_DECIDING = ("name", "feature", "vector", "clip", "model", "untrained", "deep", "stages", "training")


def _key(
    config: Mapping[str, Any], hashes: Mapping[str, str], split: str, seed: int, adapted: Sequence[str],
    hold_back: bool = False,
) -> str:  # fmt: skip
    """Equal for runs that give equal numbers on one machine."""
    deciding = {name: config.get(name) for name in _DECIDING}
    further = ["hold back"] if hold_back else []
    text = json.dumps([deciding, dict(hashes), split, seed, list(adapted), *further], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _key_of(out: Path, run: Mapping[str, Any]) -> str | None:
    """The key of the run in `out`, from what lies there; None where that is not whole."""
    import yaml

    try:
        config = yaml.safe_load((out / "recipe.yaml").read_text(encoding="utf-8"))
        held = run["options"].get("hold_back", False)
        return _key(config, run["data"]["sha256"], run["split"]["hash"], run["seed"], run["adapted"], held)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None


def _is_done(out: Path, about: dict[str, Any]) -> bool:
    if not runs.is_run(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{out}: there is something else under this name", hint="name another folder with -o")
        return False
    there = runs.read_json(out / "run.json")
    if there.get("status") in ("failed", "pruned") and not (out / "checkpoint").exists():
        return False  # nothing was learnt: the corrected command may have the folder
    if about["key"] not in (there.get("key"), _key_of(out, there)):
        raise UsageError(
            f"{out}: another run lies here ({there.get('recipe')}, seed {there.get('seed')}, {there.get('protocol')})",
            hint="name another folder with -o; a run goes on only with the same recipe, data, split and seed",
            code="another-run",
        )
    return there.get("status") == "finished"


def _leave(out: Path, job: _fit.Job, fitted: _fit.Fitted, split: Split, options: Options) -> None:
    """Predictions, metrics, curves and what the model is."""
    segments = {part: _predictions(job, *fitted.answers[part]) for part in job.parts if part != "train"}
    tracks = {part: evaluation.join_segments(some, how=job.recipe.clip.join) for part, some in segments.items()}
    runs.write_predictions(out / "predictions-segments.csv", segments)
    runs.write_predictions(out / "predictions-tracks.csv", tracks)
    if fitted.history:
        runs.write_curves(out / "curves.csv", fitted.history)
    figures: dict[str, Any] = {}
    for part in _splits.judged_parts(split):
        told = {
            "model": job.recipe.name, "data": job.material.name, "split": split.name, "protocol": split.protocol,
            "resamples": options.resamples,
        }  # fmt: skip
        figures[part] = {"tracks": evaluation.summary(tracks[part], **told)}
        if len(segments[part]) > len(tracks[part]):
            figures[part]["segments"] = evaluation.summary(segments[part], **told)
    chosen_on = job.choose if fitted.history else None
    marks = {"leaky": split.leaky, "adapted": list(job.material.adapted), "quick": options.quick}
    runs.write_json(out / "metrics.json", {"chosen_on": chosen_on, **marks, "parts": figures})
    some = tracks[job.choose]
    temperature = evaluation.fit_temperature(some.truth, some.probabilities)
    model = {
        "format": "run-model/1",
        "classes": list(job.material.classes),
        "feature": known(job.material.feature),
        "stored": dict(job.material.stored),
        "vector": job.recipe.vector.model_dump(mode="json"),
        "pool": job.material.pool or job.recipe.vector.pool,
        "clip": {**job.recipe.clip.model_dump(), "frames": job.frames, "frame_rate": job.material.frame_rate},
        "model": dict(job.recipe.model),
        "deep": dict(job.recipe.deep) if job.recipe.deep else None,
        "temperature": {"value": temperature.value, "fitted_on": job.choose, "n": temperature.n},
        "adapted": list(job.material.adapted),
    }
    runs.write_json(out / "model" / "model.json", model)


def _predictions(job: _fit.Job, shares: np.ndarray, positions: np.ndarray) -> evaluation.Predictions:
    table = job.material.table
    track = table.row_track[positions]
    return evaluation.checked_predictions(
        table.ids[track].tolist(), job.material.labels[positions], shares, job.material.classes,
        groups=table.artist[track].tolist(), unit="segment",
    )  # fmt: skip


def _threads(options: Options) -> int:
    """Threads for torch: all cores that the process may use; the same number gives the same sums."""
    if options.threads:
        return options.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_yaml(recipe: Recipe) -> str:
    import yaml

    return yaml.safe_dump(recipe.config(), sort_keys=False, allow_unicode=True, width=110)
