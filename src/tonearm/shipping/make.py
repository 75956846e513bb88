"""One command from the packs to a shipped model: train, choose, calibrate, measure, write.

Every net is a file of its own in the folder, and training goes on from its last hundred steps: a run that was stopped
is gone on with by the same command.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tonearm import __version__, evaluation, protocols
from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation.calibration import coverage_accuracy
from tonearm.packs import Pack, open_pack
from tonearm.packs.track import Track
from tonearm.protocols import Split
from tonearm.shipping import graph, kernel, loop, small
from tonearm.shipping.net import BandNet
from tonearm.shipping.recipe import Recipe, get
from tonearm.shipping.statistics import Statistics

Say = Callable[[str], None]
KEPT = ("n", "accuracy", "interval", "interval_over", "balanced_accuracy", "f1_macro", "ece", "per_genre")


@dataclass(frozen=True)
class Workshop:
    """All that the steps share: the recipe, the pack as tensors, where nets are kept, how to say how far it is."""

    recipe: Recipe
    pack: Pack
    material: loop.Material
    bands: np.ndarray | None
    folder: Path
    say: Say
    trunk: BandNet | None = None
    begin: list[BandNet] | None = None

    @property
    def frames(self) -> int:
        return self.material.stored.shape[2]


def make(recipe: Recipe, data: Path, output: Path, say: Say = lambda text: None) -> dict[str, Any]:
    """Make the model of `recipe` from the packs in folder `data`; `output` gets nets, figures.json and the model."""
    begun = time.monotonic()
    shop = _open(recipe, data, output, say)
    chosen = _chosen(shop)
    figures = [chosen["figure"]]
    finals = [_final(shop, seed) for seed in recipe.seeds]
    if recipe.figures.test:
        figures.append(_tested(shop, finals, chosen))
    if recipe.figures.artist_folds:
        figures.append(_folded(shop, chosen))
    info = _described(shop, chosen, figures)
    from tonearm.runtime._export import write_graph

    path = output / f"{recipe.name}.onnx"
    difference = write_graph(finals[0], path, info, frames=shop.frames, free=False)
    small.fold_file(path)
    small.halve_file(path)
    told = {"model": str(path), "bytes": path.stat().st_size, "difference": difference, "figures": figures,
            "temperature": chosen["temperature"], "threshold": chosen["threshold"], "recipe": recipe.model_dump(),
            "seconds": round(time.monotonic() - begun, 1)}  # fmt: skip
    (output / "figures.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return told


def _final(shop: Workshop, seed: int) -> graph.Whole:
    """What may be shipped: fitted on the parts that the recipe names, never on a test part."""
    parts = shop.recipe.fit_on
    if "test" in parts:
        raise UsageError("a shipped model is never fitted on a test part", hint="fit_on: [train, valid]")
    if shop.recipe.refit:
        return _taught_on(shop, _rows(shop, parts), seed)
    # The model that temperature and threshold were chosen with, where it is fitted on just that part.
    same = parts == ("train",) and not shop.recipe.figures.choose_folds and seed == shop.recipe.seeds[0]
    return _model(shop, _rows(shop, parts), seed, "choose" if same else f"final-{seed}")


def _taught_on(shop: Workshop, rows: np.ndarray, seed: int) -> graph.Whole:
    """The net of the training part alone, taught on with `rows` for the steps of `refit`."""
    recipe = shop.recipe
    short = recipe.training.model_copy(update=recipe.refit.model_dump())
    first = _nets(shop, _rows(shop, ("train",)), seed, "choose")
    there = dataclasses.replace(shop, recipe=recipe.model_copy(update={"training": short}), begin=first)
    return _model(there, rows, seed, f"final-{seed}")


def _open(recipe: Recipe, data: Path, output: Path, say: Say) -> Workshop:
    output.mkdir(parents=True, exist_ok=True)
    pack = open_pack(data / recipe.pack)
    stored = np.asarray(pack.features)
    if stored.dtype != np.uint8 or stored.ndim != 3:
        raise UsageError(f"{pack.folder}: a shipped model learns from a pack of log-mel pictures stored as uint8")
    bands = None
    if recipe.top_hz:
        bands = graph.lower_bands(stored.shape[1], recipe.feature_rate, recipe.top_hz)
        turned = np.einsum("kb,nbt->nkt", bands, stored.astype(np.float32), optimize=True)
        stored = np.clip(np.rint(turned), 0, 255).astype(np.uint8)
    classes = {genre: i for i, genre in enumerate(pack.classes)}
    labels = np.array([classes[genre] for genre in pack.column("genre")])
    vectors = _vectors(data / recipe.teacher, pack) if recipe.teacher else None
    artists = np.where(pack.column("artist") == "", pack.ids, pack.column("artist"))
    material = loop.Material(torch.from_numpy(stored.copy()), labels, len(classes), vectors, artists)
    shop = Workshop(recipe, pack, material, bands, output, say)
    return dataclasses.replace(shop, trunk=_trunk(shop, data)) if recipe.trunk else shop


def _trunk(shop: Workshop, data: Path) -> BandNet:
    """The net that others begin with, from another dataset: so no track that is judged here was in its training."""
    setting = shop.recipe.trunk
    own = {"net": setting.net, "training": setting.training}
    other = get(setting.recipe).model_copy(update={key: value for key, value in own.items() if value})
    there = _open(other, data, shop.folder, shop.say)
    return _nets(there, _rows(there, setting.parts), setting.seed, "trunk")[0]


def _vectors(folder: Path, pack: Pack) -> np.ndarray:
    """The teacher's vector of each row of `pack`, matched by id."""
    teacher = open_pack(folder)
    place = {name: i for i, name in enumerate(teacher.ids.tolist())}
    missing = [name for name in pack.ids.tolist() if name not in place]
    if missing:
        raise TonearmError(f"{folder}: no vector for {len(missing)} tracks, such as {missing[0]}", code="missing-ids")
    values = np.asarray(teacher.features, np.float32).reshape(len(teacher), -1)
    return values[[place[name] for name in pack.ids.tolist()]]


def _rows(shop: Workshop, parts: tuple[str, ...]) -> np.ndarray:
    official = protocols.make_split(shop.pack, "official")
    unknown = [part for part in parts if part not in official.parts]
    if unknown:
        raise UsageError(f"{shop.pack.name} has no part {unknown[0]!r}; it has {', '.join(official.parts)}")
    rows = official.rows(shop.pack)
    return np.sort(np.concatenate([rows[part] for part in parts]))


def _model(shop: Workshop, rows: np.ndarray, seed: int, name: str) -> graph.Whole:
    """All members of one model, fitted on `rows` of the pack."""
    recipe, nets = shop.recipe, _nets(shop, rows, seed, name)
    part = None
    if recipe.kernel is not None:
        rate = shop.frames / float(shop.pack.feature_config["clip_seconds"])
        statistics = Statistics(shop.material.stored.shape[1], shop.frames, rate)
        values = _in_blocks(statistics, shop.material.stored[torch.from_numpy(rows)].float() / 255)
        machine = kernel.fit(values, shop.material.labels[rows], shop.material.n_classes,
                             gamma=recipe.kernel.gamma, ridge=recipe.kernel.ridge)  # fmt: skip
        part = (statistics, machine)
    setting = recipe.kernel
    whole = graph.Whole(
        nets, frames=shop.frames, crops=recipe.crops, bands=shop.bands, stretches=recipe.stretches,
        crop_frames=min(shop.frames, recipe.crop_frames or recipe.training.crop_frames),
        kernel=part, share=setting.share if setting else 0.0, sharpness=setting.sharpness if setting else 1.0,
    )  # fmt: skip
    return small.round_weights(whole).eval()


def _nets(shop: Workshop, rows: np.ndarray, seed: int, name: str) -> list[BandNet]:
    recipe, nets = shop.recipe, []
    for member in range(recipe.members):
        path = shop.folder / "nets" / f"{name}-{member}.safetensors"
        path.parent.mkdir(exist_ok=True)
        begun = time.monotonic()

        def report(step: int, loss: float, path: Path = path, begun: float = begun) -> None:
            if step % 50 == 0 or step == recipe.training.steps:
                passed = time.monotonic() - begun
                shop.say(f"{path.stem}: step {step} of {recipe.training.steps}, loss {loss:.3f}, {passed:.0f} s")

        nets.append(loop.train(recipe, shop.material, rows, seed * 100 + member, path,
                               trunk=shop.trunk, begin=shop.begin[member] if shop.begin else None,
                               report=report))  # fmt: skip
    return nets


@torch.no_grad()
def _in_blocks(module: torch.nn.Module, x: torch.Tensor, size: int = 64) -> np.ndarray:
    return torch.cat([module(x[i : i + size]) for i in range(0, len(x), size)]).numpy()


@torch.no_grad()
def _answers(shop: Workshop, model: graph.Whole, rows: np.ndarray) -> np.ndarray:
    """Probabilities (rows, classes) before calibration, computed as the shipped graph computes them."""
    stored = np.asarray(shop.pack.features)
    found = []
    for at in range(0, len(rows), 32):
        block = torch.from_numpy(stored[rows[at : at + 32]].astype(np.float32))
        found.append(model(block)[0].softmax(1).numpy())
    return np.concatenate(found)


def _figure(shop: Workshop, rows: np.ndarray, shares: np.ndarray, **told: Any) -> dict[str, Any]:
    """One figure with its protocol, n, interval and calibration; tracks and artists as the pack names them."""
    pack = shop.pack
    found = evaluation.checked_predictions(
        pack.ids[rows].tolist(), pack.column("genre")[rows].tolist(), shares, pack.classes,
        groups=pack.column("artist")[rows].tolist(),
    )  # fmt: skip
    summary = evaluation.summary(found)
    curve = coverage_accuracy(found.truth, found.probabilities)
    half = int(np.argmin(np.abs(curve.coverage - 0.5)))
    return {"dataset": pack.name, **told, **{key: summary[key] for key in KEPT},
            "accuracy_at_half_coverage": float(curve.accuracy[half])}  # fmt: skip


def _chosen(shop: Workshop) -> dict[str, Any]:
    """Temperature and threshold from tracks that were in no training, and the accuracy on them.

    Folds by artist over train and valid where the recipe asks for them; else valid, from a model of train alone.
    """
    setting, pack = shop.recipe.figures, shop.pack
    if setting.choose_folds:
        both = _rows(shop, ("train", "valid"))
        split = _artists_apart(pack, both, setting.choose_folds)
        rows, shares = _out_of_fold(shop, split, "choose")
        told = {"protocol": "artist", "part": f"{setting.choose_folds} folds of train and valid", "split": split.name}
    else:
        rows = _rows(shop, ("valid",))
        shares = _answers(shop, _model(shop, _rows(shop, ("train",)), shop.recipe.seeds[0], "choose"), rows)
        told = {"protocol": "official", "part": "valid", "split": protocols.make_split(pack, "official").name}
    truth = shop.material.labels[rows]
    temperature = evaluation.fit_temperature(truth, shares).value
    calm = evaluation.apply_temperature(shares, temperature)
    found = evaluation.threshold_for_accuracy(truth, calm, setting.wanted_accuracy, resamples=200)
    threshold = 1.0 if found.value is None else round(float(found.value), 4)
    figure = _figure(shop, rows, calm, **told, seeds=[shop.recipe.seeds[0]], chosen_on=True)
    shop.say(f"chosen: accuracy {figure['accuracy']:.4f} of n = {figure['n']}, temperature {temperature:.3f}, "
             f"sure from {threshold}")  # fmt: skip
    return {"temperature": float(temperature), "threshold": threshold, "figure": figure}


def _artists_apart(pack: Pack, rows: np.ndarray, folds: int) -> Split:
    """Folds with artists and recordings apart, over some rows of a pack."""
    columns = {name: pack.column(name)[rows].tolist() for name in ("id", "genre", "artist", "recording")}
    tracks = [Track(id=i, genre=g, artist=a, recording=r) for i, g, a, r in zip(*columns.values(), strict=True)]
    return protocols.make_split(tracks, "artist", folds=folds, seed=0)


def _out_of_fold(shop: Workshop, split: Split, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and their probabilities (uncalibrated), each from a model that saw nothing of its artist."""
    rows, shares = [], []
    for number in range(1, split.folds + 1):
        parts = split.fold(number).rows(shop.pack)
        model = _model(shop, parts["train"], shop.recipe.seeds[0], f"{name}-{split.folds}-{number}")
        rows.append(parts["test"])
        shares.append(_answers(shop, model, parts["test"]))
    return np.concatenate(rows), np.concatenate(shares)


def _tested(shop: Workshop, models: list[graph.Whole], chosen: dict[str, Any]) -> dict[str, Any]:
    """The test part, once for each seed of what is shipped; the first seed's model is the one in the package."""
    rows = _rows(shop, ("test",))
    found = []
    for seed, model in zip(shop.recipe.seeds, models, strict=True):
        shares = evaluation.apply_temperature(_answers(shop, model, rows), chosen["temperature"])
        found.append(_figure(shop, rows, shares))
        shop.say(f"test, seed {seed}: {found[-1]['accuracy']:.4f} of n = {found[-1]['n']}, ece {found[-1]['ece']:.3f}")
    by_seed = [one["accuracy"] for one in found]
    split = protocols.make_split(shop.pack, "official").name
    return {**found[0], "protocol": "official", "part": "test", "split": split, "seeds": [shop.recipe.seeds[0]],
            "all_seeds": list(shop.recipe.seeds), "accuracy_by_seed": by_seed,
            "accuracy_mean": float(np.mean(by_seed)), "chosen_on": False}  # fmt: skip


def _folded(shop: Workshop, chosen: dict[str, Any]) -> dict[str, Any]:
    """All clips of the dataset, artists apart, each judged by a model of the other folds."""
    split = protocols.make_split(shop.pack, "artist", folds=shop.recipe.figures.artist_folds, seed=0)
    rows, shares = _out_of_fold(shop, split, "artist")
    shares = evaluation.apply_temperature(shares, chosen["temperature"])
    part = f"{split.folds} folds of all clips"
    figure = _figure(shop, rows, shares, protocol="artist", part=part, split=split.name,
                     seeds=[shop.recipe.seeds[0]], chosen_on=False)  # fmt: skip
    shop.say(f"artist, {part}: {figure['accuracy']:.4f} of n = {figure['n']}, ece {figure['ece']:.3f}")
    return figure


def _described(shop: Workshop, chosen: dict[str, Any], figures: list[dict[str, Any]]) -> dict[str, Any]:
    recipe, meta = shop.recipe, shop.pack.meta
    hashes = {shop.pack.name: meta.get("sha256", {})}
    return {
        "name": recipe.name,
        "title": recipe.title,
        "version": __version__,
        "classes": shop.pack.classes,
        "feature": shop.pack.feature_config,
        "stored": {"dtype": "uint8", "scale": "clip-minmax"},
        "listen": recipe.listen,
        "clips": {"frames": None, "overlap": 0.5, "join": "log-mean"},
        "temperature": chosen["temperature"],
        "threshold": chosen["threshold"],
        "figures": figures,
        "training": {"recipe": recipe.model_dump(exclude={"card", "licence"}), "data": shop.pack.name,
                     "parts": list(recipe.fit_on), "seed": recipe.seeds[0], "sha256": hashes,
                     "tonearm": __version__, "command": f"tonearm make {recipe.name} --data PACKS -o FOLDER"},
        "licence": recipe.licence,
        "card": recipe.card,
    }  # fmt: skip
