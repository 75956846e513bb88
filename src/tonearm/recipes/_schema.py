"""What a recipe may say: one system, as YAML names it, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tonearm.errors import UsageError, unknown_name

POOLS = ("mean-variance", "moments", "spectral")
JOINS = ("mean", "sum", "majority", "log-mean")
SCALES = ("global", "band", "none")
PROTOCOL_KEYS = ("name", "ratio", "per_genre", "folds", "column", "seed")


class Section(BaseModel):
    """A part of a recipe: what it does not name has its default, what it misspells is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class System(Section):
    """What it is, by whom, and where it was published."""

    title: str
    by: str = ""
    source: str = ""


class Claim(Section):
    """The figure that its authors give, and how they came by it."""

    dataset: str
    protocol: str
    metric: str = "accuracy"
    value: float
    note: str = ""


class Clip(Section):
    """What a model sees at once: so many frames, or seconds, or (neither) the whole row; and how votes are joined."""

    seconds: float | None = Field(None, gt=0)
    frames: int | None = Field(None, ge=1)
    overlap: float = Field(0.5, ge=0, lt=1)
    per_track: int = Field(1, ge=1)
    join: str = "mean"
    scale: str = "global"


class Vector(Section):
    """How a clip becomes the row of numbers that a classical model wants.

    `pool` makes numbers of frames; `columns` keeps those that one of the patterns fits; `log` takes the logarithm.
    """

    pool: str | None = None
    columns: tuple[str, ...] = ()
    log: tuple[str, ...] = ()


class Recipe(Section):
    """One system. `model` and `deep` are a kind with its keywords, so is `feature`; `training` is keywords of Settings.

    `deep` is a classical model on what the net embeds; `untrained` leaves the net as chance made it. `stages` are
    changes of the model for trainings one after the other, each with the weights of the one before as `start`.
    `published` is the protocol of the claim; `quick` what `--quick` changes beside the number of epochs; `search` what
    `tonearm tune` may change, by dotted path: a list of values, or low and high with log or step.
    """

    name: str
    system: System
    claim: Claim | None = None
    caveats: tuple[str, ...] = ()
    dataset: str = "gtzan"
    published: Mapping[str, Any] = {"name": "track"}
    feature: Mapping[str, Any]
    vector: Vector = Vector()
    clip: Clip = Clip()
    model: Mapping[str, Any]
    untrained: bool = False
    deep: Mapping[str, Any] | None = None
    stages: tuple[Mapping[str, Any], ...] = ()
    training: Mapping[str, Any] = {}
    quick: Mapping[str, Any] = {}
    search: Mapping[str, Any] = {}

    def config(self) -> dict[str, Any]:
        """Everything, as plain data; `from_config` reads it back."""
        return self.model_dump(mode="json")


SECTIONS = {"system": System, "claim": Claim, "clip": Clip, "vector": Vector}


def from_config(config: Mapping[str, Any], *, where: str = "") -> Recipe:
    """A recipe from plain data. A misspelt key is refused with those that are valid, in whatever section."""
    where = where or str(config.get("name", "recipe"))
    try:
        recipe = Recipe.model_validate(dict(config))
    except ValidationError as error:
        raise _told(error, where) from None
    for what, value, valid in (
        ("join", recipe.clip.join, JOINS),
        ("scale", recipe.clip.scale, SCALES),
        ("pool", recipe.vector.pool, (*POOLS, None)),
    ):
        if value not in valid:
            raise unknown_name(f"{what} in {where}:", value, [name for name in valid if name])
    if recipe.clip.seconds and recipe.clip.frames:
        raise UsageError(f"{where}: a clip has seconds or frames, not both")
    for section in ("feature", "model", "deep"):
        value = getattr(recipe, section)
        if value is not None and not isinstance(value.get("kind"), str):
            raise UsageError(f"{where}: {section} needs a kind", hint=f"{section}: {{kind: …}}")
    for key in recipe.published:
        if key not in PROTOCOL_KEYS:
            raise unknown_name(f"key in {where}: published:", key, PROTOCOL_KEYS)
    _check_training(recipe, where)
    _check_search(recipe, where)
    return recipe


def _check_training(recipe: Recipe, where: str) -> None:
    from tonearm.recipes._settings import TRAINING_KEYS

    for key in recipe.training:
        if key not in TRAINING_KEYS:
            raise unknown_name(f"key in {where}: training:", key, TRAINING_KEYS)


def _check_search(recipe: Recipe, where: str) -> None:
    if not recipe.search:
        return
    from tonearm.recipes._search import spaces
    from tonearm.recipes._settings import TRAINING_KEYS

    spaces(recipe.search, where)
    fields = {"training": TRAINING_KEYS, "clip": Clip.model_fields, "vector": Vector.model_fields}
    for path in recipe.search:
        section, _, key = path.partition(".")
        if section in fields and key not in fields[section]:
            raise unknown_name(f"key in {where}: search: {section}.", key, fields[section])


def _told(error: ValidationError, where: str) -> UsageError:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    section = SECTIONS.get(path[0]) if len(path) > 1 else Recipe
    if first["type"] == "extra_forbidden" and section is not None:
        inside = f"{path[0]}: " if len(path) > 1 else ""
        return unknown_name(f"key in {where}: {inside}".rstrip(), path[-1], section.model_fields)
    what = first["msg"][0].lower() + first["msg"][1:]
    return UsageError(f"{where}: {'.'.join(path)}: {what}", hint="`tonearm recipes show NAME` prints a valid one")
