"""One way to ask any model: a shipped one, a model file, or the model of a run, on packs and on sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from tonearm.errors import UsageError

if TYPE_CHECKING:
    from tonearm.audio import Waveform
    from tonearm.packs import Pack

# A block of a pack as it is stored, (n, ...), to another block of the same type.
Change = Callable[[np.ndarray], np.ndarray]


class Answers(NamedTuple):
    """Probabilities (m, classes) of clips, and which of the rows that were asked about each belongs to, (m,)."""

    probabilities: np.ndarray
    rows: np.ndarray


class Training(NamedTuple):
    """What is known of what a model learnt from: ids by part, or the name of the data with the parts that were used.

    `chosen` are ids that it did not learn from, but by which its epoch or its temperature was chosen. `data` names
    the pack or dataset; `table` reads its tracks where they can still be found.
    """

    data: tuple[str, ...] = ()
    ids: frozenset[str] | None = None
    chosen: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ("train",)
    table: Callable[[], Any] = lambda: None


class Predictor(Protocol):
    """What every model can be asked. `probabilities` are as its maker reports figures of them; see `calibrated`.

    `feature` is the config of what it hears, `join` how clips become tracks, `threshold` from which calibrated
    probability on it is sure (None: nobody chose one). `kind` is "model" or "run".
    """

    name: str
    version: str
    kind: str
    classes: tuple[str, ...]
    feature: dict[str, Any]
    join: str
    temperature: float
    threshold: float | None
    training: Training
    # Which stretches of a sound it hears: sample_rate, excerpts, clip_seconds, whole_seconds (runtime._listen.Plan).
    plan: Any

    def on_pack(self, pack: Pack, rows: np.ndarray, *, change: Change | None = None) -> Answers:
        """What it says of rows of a pack of its feature; `change` is done to the stored values first."""
        ...

    def on_waveforms(self, waveforms: Sequence[Waveform]) -> np.ndarray:
        """What it says of each sound, (n, classes), heard as a file of it would be."""
        ...

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities (n, classes) of tracks with the model's temperature, if they do not have it yet."""
        ...


def open_predictor(model: str | os.PathLike | Predictor) -> Predictor:
    """A shipped model by name, a model file (.onnx, or .npz of `tonearm learn`), or the folder of a finished run.

    Only the model of a run that is a net needs torch.
    """
    if not isinstance(model, str | os.PathLike):
        return model
    folder = Path(os.path.expanduser(os.fspath(model)))
    if (folder / "run.json").is_file():
        from tonearm.judging._run_predictor import RunPredictor

        return RunPredictor(folder)
    if folder.is_dir() and (folder / "summary.json").is_file():
        below = sorted(path.parent.name for path in folder.glob("*/run.json"))
        raise UsageError(
            f"{folder}: a folder of several runs, not one",
            hint=f"name one of them: {folder / below[0]}" if below else "name the folder of one run",
        )
    if folder.is_dir():
        raise UsageError(
            f"{folder}: no run here", hint="a run is a folder with run.json, as `tonearm train` leaves it"
        )  # fmt: skip
    from tonearm.judging._file_predictor import FilePredictor

    return FilePredictor(model)


def feature_of(config: dict[str, Any]) -> dict[str, Any]:
    """The whole config of a pack's feature, and only its kind where it cannot be computed from sound."""
    from tonearm import features

    try:
        return features.from_config(config).config()
    except UsageError:
        return {"kind": str(config.get("kind", "unknown"))}
