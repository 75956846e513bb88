"""What a prediction does to the genres of a file: one place for plans, and for programs that write tags themselves."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from tonearm.errors import UsageError, unknown_name
from tonearm.tags import predictions
from tonearm.tags.predictions import Names, Prediction

POLICIES = ("keep", "fill", "add", "replace")
# From here on a genre counts where neither the person nor the model says from where: more likely than not.
THRESHOLD = 0.5


class Decision(NamedTuple):
    """`genres` are what should stand in the file; `reason` says why nothing changes, or is empty where it does.

    `predicted` are the genres that count, `probabilities` those of `genres` that were predicted.
    """

    genres: list[str]
    reason: str
    predicted: list[str]
    probabilities: dict[str, float | None]


def settings(
    *,
    policy: str = "fill",
    threshold: float | None = None,
    max_genres: int = 3,
    names: Names | str | os.PathLike | None = None,
    unsure: bool = False,
) -> dict[str, Any]:
    """Checked settings of a plan, as they stand in its file."""
    if policy not in POLICIES:
        raise unknown_name("policy", policy, POLICIES)
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"the threshold is a probability from 0 to 1, not {threshold}")
    if max_genres < 1:
        raise UsageError("at least one genre has to be allowed for a file")
    names = predictions.read_map(names) if isinstance(names, str | os.PathLike) else predictions.checked_map(names)
    return {"policy": policy, "threshold": threshold, "max_genres": max_genres, "map": names, "unsure": unsure}


def decide(prediction: Prediction, before: Iterable[str], settings: dict[str, Any]) -> Decision:
    """What should stand in a file that names the genres `before`."""
    before = [genre for genre in before if genre.strip()]
    named = predictions.renamed(prediction.genres, settings["map"])
    wanted, why = _wanted(prediction, named, settings)
    after, reason = _after(before, wanted, settings) if wanted else (before, why)
    probabilities = {genre: p for genre, p in named if genre in after}
    return Decision(after, reason, wanted, probabilities)


def _wanted(
    prediction: Prediction, named: list[tuple[str, float | None]], settings: dict[str, Any]
) -> tuple[list[str], str]:
    """The genres that count, or why there are none."""
    if not prediction.genres:
        return [], "nothing-predicted"
    if not named:
        return [], "not-sure" if prediction.sure is False and not settings["unsure"] else "dropped-by-map"
    asked, own = settings["threshold"], prediction.threshold
    least = asked if asked is not None else own if own is not None else THRESHOLD
    likely = [genre for genre, p in named if p is None or p >= least]
    if prediction.sure is False and not settings["unsure"]:
        # Two genres, neither of them sure, may be one to this person: then the answer is sure under their own name.
        merged = likely and own is not None and _is_merged(likely[0], prediction, settings["map"])
        return (likely[: settings["max_genres"]], "") if merged else ([], "not-sure")
    if not likely and asked is None and (prediction.sure or settings["unsure"]):
        # Nobody asked for more than the model does, and the model is sure of its best.
        best = predictions.targets(prediction.genres[0][0], settings["map"])
        likely = [genre for genre, _ in named if genre in best]
    return likely[: settings["max_genres"]], "" if likely else "below-threshold"


def _is_merged(name: str, prediction: Prediction, names: Names) -> bool:
    return sum(name in predictions.targets(genre, names) for genre, _ in prediction.genres) > 1


def _after(before: list[str], wanted: list[str], settings: dict[str, Any]) -> tuple[list[str], str]:
    """The genres that would stand in the file, or why they stay."""
    if settings["policy"] == "keep":
        return before, "kept"
    if settings["policy"] == "fill" and before:
        return before, "has-genre"
    if settings["policy"] == "add":
        # "Rock; Pop" in one value is two genres to a person: neither is added once more.
        there = {part.strip().casefold() for genre in before for part in [genre, *re.split(r"[;/,|]", genre)]}
        new = [genre for genre in wanted if genre.casefold() not in there]
        wanted = before + new[: max(0, settings["max_genres"] - len(before))]
    return (wanted, "same") if wanted == before else (wanted, "")
