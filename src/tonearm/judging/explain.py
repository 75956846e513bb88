"""On which bands and which seconds a prediction rests, by turning them down and asking again; and whether that is true.

Occlusion (Zeiler and Fergus, ECCV 2014) in the sound itself, so that any model can be asked. The check deletes all
that was named at once, and as much at random (Samek et al., IEEE TNNLS 28, 2017).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tonearm.audio import Waveform
from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.evaluation.intervals import mean_interval
from tonearm.evaluation.paired import sign_flip
from tonearm.evaluation.predictions import join_rows
from tonearm.judging._muffle import DROP_DB, Grid, Muffled, grid_over
from tonearm.judging.predictor import Predictor, open_predictor

STEP_SECONDS = 2.0
BANDS = 8
# Stretches and bands for themselves are looked at twice as closely as cells.
FINER = 2
# How much is named: the fifth of all cells that weighs most.
NAMED = 0.2
DRAWS = 20
BATCH = 16
_LEAST = 1e-6
LEAST_SECONDS = 2.0


@dataclass(frozen=True, eq=False)
class Check:
    """What deleting the named cells does to the log-odds of the genre, beside as many cells drawn at random.

    `loudest` deletes as many of the loudest cells: a better opponent than chance. `alone` is the probability of the
    genre when only the named cells are left.
    """

    named: float
    random: np.ndarray
    loudest: float
    alone: float

    @property
    def beaten(self) -> float:
        """The share of random draws that hurt less."""
        return float((self.random < self.named).mean())

    @property
    def holds(self) -> bool:
        return self.named > float(self.random.mean())

    def to_json(self) -> dict[str, Any]:
        return {
            "holds": self.holds, "named": self.named, "random": float(self.random.mean()),
            "random_deviation": float(self.random.std()), "draws": len(self.random), "beaten": self.beaten,
            "p_value": float((1 + (self.random >= self.named).sum()) / (1 + len(self.random))),
            "loudest": self.loudest, "probability_of_named_alone": self.alone,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one stretch of sound says to a model about one genre.

    `cells` (bands, columns) over `grid`, `stretches` (columns,) over `seconds`, `bands` (bands,) over `hertz`: how far
    the log-odds of the genre fall when that is turned down; below 0 they rise, it speaks for another genre. `named`
    (bands, columns) are the cells that weigh most. Times count from the beginning of the stretch.
    """

    path: str
    model: str
    genre: str
    probability: float
    whole: float
    start_seconds: float
    waveform: Waveform
    grid: Grid
    cells: np.ndarray
    named: np.ndarray
    seconds: np.ndarray
    stretches: np.ndarray
    hertz: np.ndarray
    bands: np.ndarray
    check: Check
    gradients: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values; times count from the beginning of the file."""
        ends = (self.seconds + self.start_seconds).tolist()
        return {
            "path": self.path, "model": self.model, "genre": self.genre, "probability": self.probability,
            "probability_of_the_whole": self.whole, "start_seconds": self.start_seconds,
            "seconds": self.waveform.seconds, "turned_down_db": DROP_DB,
            "stretches": [
                {"start_seconds": a, "end_seconds": b, "weight": float(weight)}
                for a, b, weight in zip(ends, ends[1:], self.stretches, strict=False)
            ],
            "bands": [
                {"low_hz": float(a), "high_hz": float(b), "weight": float(weight)}
                for a, b, weight in zip(self.hertz, self.hertz[1:], self.bands, strict=False)
            ],
            "cells": {
                "seconds": (self.grid.seconds + self.start_seconds).tolist(), "hertz": self.grid.hertz.tolist(),
                "weight": self.cells.tolist(), "named": self.named.tolist(),
            },
            "check": self.check.to_json(),
            "gradients": {
                key: value.tolist() if isinstance(value, np.ndarray) else
                value.to_json() if isinstance(value, Check) else value
                for key, value in self.gradients.items()
            },
        }  # fmt: skip

    @property
    def telling(self) -> tuple[float, float]:
        """The seconds that weigh most, some five in a row: from and to, in the stretch."""
        width = max(1, round(5.0 / float(self.seconds[1] - self.seconds[0])))
        sums = np.convolve(self.stretches, np.ones(min(width, len(self.stretches))), mode="valid")
        first = int(sums.argmax())
        return float(self.seconds[first]), float(self.seconds[min(first + width, len(self.stretches))])


def explain(
    model: str | os.PathLike | Predictor,
    path: str | os.PathLike,
    *,
    genre: str | None = None,
    start_seconds: float | None = None,
    step_seconds: float = STEP_SECONDS,
    bands: int = BANDS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Explanation:
    """Explain the answer (or `genre`) for a file: of a song, for the stretch that speaks most for it.

    `start_seconds` names another stretch.
    """
    if bands < 2 or step_seconds <= 0 or draws < 1:
        raise UsageError("an explanation needs two bands, a step above 0 seconds, and a random draw or more")
    predictor = open_predictor(model)
    if genre is not None and genre not in predictor.classes:
        raise unknown_name("genre", genre, predictor.classes)
    start, wave, shares, whole = _stretch(predictor, path, genre, start_seconds)
    target = predictor.classes.index(genre) if genre else int(whole.argmax())
    sound = Muffled(wave)
    grid = grid_over(wave, min(step_seconds, wave.seconds / 2), bands)
    fine = grid_over(wave, min(step_seconds, wave.seconds / 2) / FINER, bands * FINER)
    asked = _Asked(predictor, sound, target, _log_odds(shares[target]))
    cells = asked.lost(grid, _each(grid.shape)).reshape(grid.shape)
    columns = np.repeat(np.eye(fine.shape[1], dtype=bool)[:, None], fine.shape[0], axis=1)
    rows = np.repeat(np.eye(fine.shape[0], dtype=bool)[:, :, None], fine.shape[1], axis=2)
    named = top(cells)
    draw = np.random.default_rng(seed)
    chance = [_at_random(draw, named) for _ in range(draws)]
    random = asked.lost(grid, chance)
    found = Explanation(
        path=os.fspath(path), model=predictor.name, genre=predictor.classes[target], probability=float(shares[target]),
        whole=float(whole[target]), start_seconds=start, waveform=wave, grid=grid, cells=cells, named=named,
        seconds=fine.seconds, stretches=asked.lost(fine, columns), hertz=fine.hertz, bands=asked.lost(fine, rows),
        check=asked.check(grid, named, random),
    )  # fmt: skip
    found.gradients.update(_by_gradients(predictor, asked, grid, cells, target, random))
    return found


def top(cells: np.ndarray, share: float = NAMED) -> np.ndarray:
    """The cells that weigh most, bool as `cells`: a share of all of them, at least one."""
    count = max(1, round(share * cells.size))
    named = np.zeros(cells.size, bool)
    named[np.argsort(-cells.ravel(), kind="stable")[:count]] = True
    return named.reshape(cells.shape)


def summary(found: Sequence[Explanation], *, seed: int = 0) -> dict[str, Any]:
    """Over several files: how often deleting what was named hurts more than chance, and by how much, with intervals."""
    told = {"n": len(found), "occlusion": _over(([e.check for e in found]), seed)}
    checks = [e.gradients["check"] for e in found if "check" in e.gradients]
    return {**told, "gradients": _over(checks, seed) if checks else None}


def _over(checks: Sequence[Check], seed: int) -> dict[str, Any]:
    named = np.array([check.named for check in checks])
    random = np.array([check.random.mean() for check in checks])
    loudest = np.array([check.loudest for check in checks])
    more = mean_interval(named - random, seed=seed)
    return {
        "n": len(checks),
        "holds": int((named > random).sum()),
        "beats_loudest": int((named > loudest).sum()),
        "beaten": float(np.mean([check.beaten for check in checks])),
        "named": float(named.mean()), "random": float(random.mean()), "loudest": float(loudest.mean()),
        "difference": more.value, "interval": more.pair(), "p_value": sign_flip(named, random, seed=seed),
    }  # fmt: skip


@dataclass(frozen=True)
class _Asked:
    """A model asked about one sound with parts turned down; `before` are the log-odds of the genre as it is."""

    predictor: Predictor
    sound: Muffled
    target: int
    before: float

    def said(self, grid: Grid, masks: Sequence[np.ndarray]) -> np.ndarray:
        """The probability of the genre with each of the masks turned down, (masks,)."""
        shares = []
        for at in range(0, len(masks), BATCH):
            waves = [self.sound.without(grid, mask) for mask in masks[at : at + BATCH]]
            shares.append(self.predictor.on_waveforms(waves)[:, self.target])
        return np.concatenate(shares)

    def lost(self, grid: Grid, masks: Sequence[np.ndarray]) -> np.ndarray:
        """How far its log-odds fall."""
        return self.before - _log_odds(self.said(grid, masks))

    def check(self, grid: Grid, named: np.ndarray, random: np.ndarray) -> Check:
        loudest = top(self.sound.energies(grid), named.mean())
        said = self.said(grid, [named, loudest, ~named])
        lost = self.before - _log_odds(said)
        return Check(float(lost[0]), random, float(lost[1]), float(said[2]))


def _log_odds(shares: Any) -> Any:
    shares = np.clip(np.asarray(shares, np.float64), _LEAST, 1 - _LEAST)
    return np.log(shares / (1 - shares))


def _each(shape: tuple[int, int]) -> np.ndarray:
    """A mask for every cell."""
    return np.eye(shape[0] * shape[1], dtype=bool).reshape(-1, *shape)


def _at_random(draw: np.random.Generator, named: np.ndarray) -> np.ndarray:
    """As many cells as were named, drawn from all."""
    chosen = np.zeros(named.size, bool)
    chosen[draw.choice(named.size, int(named.sum()), replace=False)] = True
    return chosen.reshape(named.shape)


def _stretch(
    predictor: Predictor, path: str | os.PathLike, genre: str | None, start_seconds: float | None
) -> tuple[float, Waveform, np.ndarray, np.ndarray]:
    """The stretch that is explained: its start, its sound, what is said of it, and what is said of the whole file."""
    from tonearm import audio
    from tonearm.runtime import _listen

    # As long as it may be at once, however short the excerpts are that make up an answer.
    plan = predictor.plan._replace(clip_seconds=predictor.plan.whole_seconds)
    seconds = audio.info(path).seconds
    starts = _listen.starts(seconds, plan)
    length = plan.clip_seconds if len(starts) > 1 or seconds > plan.whole_seconds * _listen.SLACK else seconds
    if start_seconds is not None:
        starts = [*starts, start_seconds]
    waves = []
    for start in starts:
        wave = audio.load(path, sample_rate=plan.sample_rate, start_seconds=start, clip_seconds=max(length, 0.1))
        waves.append(wave)
    chosen = waves[-1] if start_seconds is not None else max(waves, key=lambda wave: len(wave.samples))
    if chosen.seconds < LEAST_SECONDS:
        raise TonearmError(f"{os.fspath(path)}: {chosen.seconds:.1f} s are too little to explain", code="too-short")
    if all(wave.silent for wave in waves) or chosen.silent:
        raise TonearmError(f"{os.fspath(path)}: there is nothing to hear in it", code="silent")
    said = predictor.on_waveforms(waves)
    heard = said if start_seconds is None else said[:-1]
    whole = join_rows(np.zeros(len(heard), int), heard, predictor.join)[0]
    target = predictor.classes.index(genre) if genre else int(whole.argmax())
    best = len(waves) - 1 if start_seconds is not None else int(heard[:, target].argmax())
    return float(starts[best]), waves[best], said[best], whole


def _by_gradients(
    predictor: Predictor, asked: _Asked, grid: Grid, cells: np.ndarray, target: int, random: np.ndarray
) -> dict[str, Any]:
    """The same by integrated gradients, where the model has any; its own check; and how far both agree."""
    from tonearm.judging._gradients import attributions

    found, reason = attributions(predictor, asked.sound.waveform, target)
    if found is None:
        return {"available": False, "reason": reason}
    weights = found.on(grid)
    return {
        "available": True,
        "reason": "",
        "cells": weights,
        "check": asked.check(grid, top(weights), random),
        "agreement": _rank_correlation(weights.ravel(), cells.ravel()),
    }


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's; None where one of them is the same everywhere."""
    from tonearm.evaluation.metrics import _average_ranks

    ranks = [_average_ranks(values) for values in (a, b)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])
