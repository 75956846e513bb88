"""What a shipped model is made by: one YAML file each, checked key by key, every default in sight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tonearm.errors import UsageError, unknown_name

FOLDER = Path(__file__).parent


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Augmentation(Section):
    """Chances are drawn per crop; levels are in shares of the pack's scale (1 is 80 dB of a whole clip)."""

    equaliser: float = Field(0.05, ge=0)
    band_shift: int = Field(4, ge=0)
    mask_share: float = Field(0.6, ge=0, le=1)
    mask_bands: int = Field(15, ge=1)
    mask_frames: int = Field(20, ge=1)
    contrast: float = Field(0.1, ge=0)
    level: float = Field(0.03, ge=0)
    tempo: float = Field(0.17, ge=0)
    mixup: float = Field(0.3, ge=0)


class Net(Section):
    width: int = Field(24, ge=4)
    embedding: int = Field(128, ge=8)
    dropout: float = Field(0.3, ge=0, lt=1)
    dropout_pooled: float = Field(0.3, ge=0, lt=1)
    pool_first: bool = False
    residual: bool = False


class Training(Section):
    """One-cycle AdamW for so many steps, weights averaged on the way; `teacher` weighs the vectors to be told.

    `opinions` is the share that a classifier of the teacher's vectors has in the wanted genre; the label has the rest.
    """

    steps: int = Field(540, ge=1)
    batch_size: int = Field(48, ge=2)
    crop_frames: int = Field(96, ge=8)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.03, ge=0)
    warm_share: float = Field(0.2, gt=0, lt=1)
    ema_decay: float = Field(0.997, gt=0, lt=1)
    smoothing: float = Field(0.1, ge=0, lt=1)
    teacher: float = Field(0.0, ge=0)
    opinions: float = Field(0.0, ge=0, le=1)


class Refit(Section):
    """What is shipped where temperature and figures come from a net of the training part alone: that net, taught on.

    So many steps more, on all parts of `fit_on`, at a rate that starts low and falls.
    """

    steps: int = Field(1000, ge=1)
    learning_rate: float = Field(4e-4, gt=0)


class Kernel(Section):
    """The member that knows statistics only; `share` of its say, `sharpness` makes its scores logits."""

    gamma: float = Field(0.3, gt=0)
    ridge: float = Field(0.1, gt=0)
    share: float = Field(0.3, ge=0, le=1)
    sharpness: float = Field(6.0, gt=0)


class Trunk(Section):
    """A net of another recipe of this folder, trained first; its convolutions are the beginning.

    `net` and `training` of its own where they are given, else those of its recipe.
    """

    recipe: str
    net: Net | None = None
    training: Training | None = None
    parts: tuple[str, ...] = ("train",)
    seed: int = 0


class Figures(Section):
    """What is measured. `choose_folds`: folds by artist over train and valid, for temperature and threshold."""

    choose_folds: int = Field(0, ge=0)
    artist_folds: int = Field(0, ge=0)
    test: bool = False
    wanted_accuracy: float = Field(0.8, gt=0, le=1)


class Recipe(Section):
    """A shipped model. `top_hz` cuts the bands above it off; `teacher` names a pack of vectors of the same tracks.

    A clip is heard in `crops` of `crop_frames`, spread over it; as long as those of training where that is left out.
    A crop answers as a whole, and for each number in `stretches` in so many parts.
    """

    name: str
    title: str
    pack: str
    feature_rate: int
    top_hz: float | None = None
    teacher: str | None = None
    trunk: Trunk | None = None
    members: int = Field(1, ge=1)
    crops: int = Field(5, ge=1)
    crop_frames: int | None = Field(None, ge=8)
    stretches: tuple[Annotated[int, Field(ge=2, le=8)], ...] = ()
    seeds: tuple[int, ...] = (0,)
    fit_on: tuple[str, ...] = ("train", "valid")
    net: Net = Net()
    training: Training = Training()
    augmentation: Augmentation = Augmentation()
    refit: Refit | None = None
    kernel: Kernel | None = None
    figures: Figures = Figures()
    listen: dict[str, Any] = {"excerpts": 3, "clip_seconds": 30.0}
    card: dict[str, Any]
    licence: str


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def get(name: str) -> Recipe:
    """The recipe of a shipped model, or the one in a YAML file of the user's."""
    import yaml

    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if path.parent == FOLDER and path.stem not in names():
        raise unknown_name("shipped model", name, names())
    try:
        return Recipe(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, TypeError) as error:
        raise UsageError(f"{path}: not a recipe of a model: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
