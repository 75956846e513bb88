"""One system fitted: a classical model, a net, or a classical model on what a net embeds. All answer per clip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import TonearmError, UsageError
from tonearm.recipes._material import Material
from tonearm.recipes._prepare import is_classical, narrowed, starts_of, tabulated
from tonearm.recipes._schema import Recipe
from tonearm.recipes._vectors import chosen, vectors


@dataclass(frozen=True)
class Job:
    """What is fitted on what: `parts` are positions in the material's table."""

    recipe: Recipe
    material: Material
    parts: Mapping[str, np.ndarray]
    choose: str
    frames: int
    seed: int
    folder: Path
    report: Callable[[dict[str, float]], None] = lambda row: None
    step: Callable[[int, int, float], None] = lambda number, of, loss: None
    accelerator: str = "auto"
    threads: int = 1
    hold_back: bool = False
    devices: int = 1
    machines: int = 1

    @property
    def fit_parts(self) -> tuple[str, ...]:
        """What a model that chooses nothing learns from: a part held back for choosing would be lost to it.

        With `hold_back` it is held back even so: where models of more and fewer tracks are compared.
        """
        return ("train", "select") if "select" in self.parts and not self.hold_back else ("train",)


@dataclass(frozen=True)
class Fitted:
    """What fitting leaves: probabilities per clip (m, classes) with the table's row of each, by part."""

    answers: Mapping[str, tuple[np.ndarray, np.ndarray]]
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = ""
    parameters: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def fit(job: Job) -> Fitted:
    """Fit the recipe's model; the model is in the job's folder afterwards, under model/."""
    (job.folder / "model").mkdir(parents=True, exist_ok=True)
    if is_classical(job.recipe.model["kind"]):
        return _fit_classical(job)
    return _fit_net(job)


def _fit_classical(job: Job) -> Fitted:
    material, pool = job.material, job.material.pool or job.recipe.vector.pool
    length = material.values.shape[2] if material.values.ndim == 3 else 1
    starts = starts_of(length, job.frames, job.recipe.clip.overlap)
    clips = {part: (np.repeat(rows, len(starts)), np.tile(starts, len(rows))) for part, rows in job.parts.items()}
    found = {part: vectors(material, *both, job.frames, pool) for part, both in clips.items()}
    names = found["train"][1]
    values = {part: narrowed(job.recipe, some, names)[0] for part, (some, _) in found.items()}
    names = narrowed(job.recipe, found["train"][0][:1], names)[1]
    log = chosen(names, job.recipe.vector.log) if job.recipe.vector.log else ()
    positions = {part: both[0] for part, both in clips.items()}
    return _classical_on(job, job.recipe.model, values, positions, log=tuple(int(i) for i in log))


def _classical_on(
    job: Job, model: Mapping[str, Any], values: Mapping[str, np.ndarray], positions: Mapping[str, np.ndarray],
    *, log: tuple[int, ...] = (),
) -> Fitted:  # fmt: skip
    from tonearm import models

    keywords = dict(model)
    classifier = models.create(
        keywords.pop("kind"), len(job.material.classes), **({"log_columns": log} if log else {}), **keywords
    )
    labels = job.material.labels
    x = np.concatenate([values[part] for part in job.fit_parts])
    y = np.concatenate([labels[positions[part]] for part in job.fit_parts])
    classifier.fit(x, y, seed=job.seed)
    models.save(classifier, job.folder / "model" / "classical.model")
    answers = {part: (classifier.predict_proba(values[part]), positions[part]) for part in values if part != "train"}
    return Fitted(answers, about={"columns": x.shape[1], "rows": len(x)})


def _fit_net(job: Job) -> Fitted:
    try:
        import torch

        from tonearm.models import nets
        from tonearm.training import checkpoint
    except ImportError as error:
        raise TonearmError(
            f"training a net needs torch and more ({error.name} is missing)",
            hint='pip install "tonearm[train]"',
            code="needs-extra",
        ) from None
    torch.set_num_threads(job.threads)
    # Fabric tells at every start what precision it uses; the run folder says so too.
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    material = tabulated(job.recipe, job.material)
    flat = material.values.ndim == 2
    clips = {part: _clips(material, rows, 1 if flat else job.frames) for part, rows in job.parts.items()}
    scale = clips["train"].scale("band" if flat else job.recipe.clip.scale)
    keywords = dict(job.recipe.model)
    kind = keywords.pop("kind")
    outcome, history, start = None, [], {}
    for number, change in enumerate(job.recipe.stages or ({},), 1):
        torch.manual_seed(job.seed)
        net = nets.create(kind, clips["train"].shape, len(material.classes), **{**keywords, **change, **start})
        if not job.recipe.untrained:
            folder = job.folder / "checkpoint" / f"stage-{number}"
            stage = {"stage": number} if job.recipe.stages else {}
            outcome = _train(job, net, clips, scale, folder, stage)
            history += [{**stage, **row} for row in outcome.history]
            start = {"start": str(folder / "best.safetensors")}
    keywords |= job.recipe.stages[-1] if job.recipe.stages else {}
    about = {
        "net": kind, "keywords": keywords, "shape": list(clips["train"].shape), "classes": list(material.classes),
        "seed": job.seed,
    }  # fmt: skip
    tensors = {"mean": torch.from_numpy(scale.mean), "deviation": torch.from_numpy(scale.deviation)}
    checkpoint.save(job.folder / "model" / "net.safetensors", {"net": net.state_dict(), "scale": tensors}, about)
    parameters = sum(p.numel() for p in net.parameters())
    if job.recipe.deep is None:
        answers = {part: _answers(net, some, job, scale, part) for part, some in clips.items() if part != "train"}
        fitted = Fitted(answers)
    else:
        embedded = {part: _embedded(net, some, job, scale) for part, some in clips.items()}
        positions = {part: job.parts[part][at] for part, (_, at) in embedded.items()}
        fitted = _classical_on(job, job.recipe.deep, {part: some for part, (some, _) in embedded.items()}, positions)
    return Fitted(
        fitted.answers, history, outcome.best_epoch if outcome else None, outcome.stopped if outcome else "",
        parameters, fitted.about,
    )  # fmt: skip


def _clips(material: Material, rows: np.ndarray, frames: int) -> Any:
    from tonearm.training import Clips

    values = material.values if material.values.ndim == 3 else material.values[:, :, None]
    return Clips(values, material.rows[rows], material.labels[rows], material.tracks[rows], frames)


def _train(
    job: Job, net: Any, clips: Mapping[str, Any], scale: Any, folder: Path, stage: Mapping[str, int]
) -> Any:  # fmt: skip
    from tonearm import training

    recipe = job.recipe
    if job.devices * job.machines > 1 and recipe.stages:
        raise UsageError(f"{recipe.name} trains in stages, which one process does", hint="leave out --devices")
    settings = training.settings(**recipe.training, join=recipe.clip.join, clips_per_track=recipe.clip.per_track)
    augment = _augment(job, settings.augment)
    outcome = training.fit(
        net, clips["train"], clips[job.choose], scale, settings, folder, seed=job.seed,
        n_classes=len(job.material.classes), report=lambda row: job.report({**stage, **row}), step=job.step,
        augment=augment, accelerator=job.accelerator, devices=job.devices, machines=job.machines,
    )  # fmt: skip
    if outcome.rank:
        raise SystemExit(0)  # the first process judges and writes; this one has helped it learn
    return outcome


def _augment(job: Job, steps: Sequence[Mapping[str, Any]]) -> Any:
    """What is done to clips while training; what works on samples is refused where there are none."""
    if not steps:
        return None
    from tonearm.training import augment

    sound = job.material.feature.get("kind") == "raw"
    rate = job.material.feature.get("sample_rate") if sound else None
    chain = augment.create(steps, **({"sample_rate": rate} if rate else {}))
    wrong = [step.kind for step in chain.steps if step.on == "waveform" and not sound]
    if wrong:
        raise UsageError(
            f"{job.recipe.name}: {', '.join(wrong)} is for samples, and the net sees {job.material.feature['kind']}",
            hint="augmentations of waveforms need the feature raw",
        )
    return chain


def _answers(net: Any, clips: Any, job: Job, scale: Any, part: str) -> tuple[np.ndarray, np.ndarray]:
    from tonearm import training

    device = next(net.parameters()).device
    scores, at = training.predict(net, clips, scale, overlap=job.recipe.clip.overlap, device=device)
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise TonearmError(f"the net's scores of the part {part} are not numbers", code="not-finite")
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True), job.parts[part][at]


def _embedded(net: Any, clips: Any, job: Job, scale: Any) -> tuple[np.ndarray, np.ndarray]:
    """What the net embeds of all fixed clips, (m, width), and the place of each in the part."""
    import torch

    net.eval()
    device = next(net.parameters()).device
    positions, starts = clips.fixed(job.recipe.clip.overlap)
    blocks = []
    with torch.inference_mode():
        for at in range(0, len(positions), 64):
            x = torch.from_numpy(clips.cut(positions[at : at + 64], starts[at : at + 64], scale)).to(device)
            blocks.append(net.embed(x).float().cpu().numpy())
    return np.concatenate(blocks), positions
