"""The model of a run folder, asked like any other. Light where the model is classical; a net needs torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import features, runs
from tonearm.audio import Waveform
from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation.calibration import apply_temperature
from tonearm.evaluation.predictions import join_rows
from tonearm.judging.predictor import Answers, Change, Training
from tonearm.packs import Pack, PackError, open_pack

# Of a song that is longer than the clips a run learnt from, so many stretches are heard.
EXCERPTS = 3
# The rate of a feature that has none of its own: that of nearly all music.
NATIVE_RATE = 44100


class RunPredictor:
    """The model in the folder of a finished run; probabilities are as its figures were made of, not calibrated."""

    kind = "run"
    threshold = None

    def __init__(self, folder: str | Path) -> None:
        from tonearm.recipes._trained import Trained

        self.folder = Path(folder)
        self.run = runs.read_json(self.folder / "run.json")
        if self.run.get("status") != "finished":
            raise TonearmError(
                f"{self.folder}: the run is {self.run.get('status', 'broken')}, there is no model yet",
                hint="the same `tonearm train` command goes on with it",
                code="unfinished",
            )
        self.trained = Trained(self.folder)
        about = self.trained.about
        self.name, self.version = str(self.run["recipe"]), str(self.run["key"])[:12]
        self.classes, self.join = self.trained.classes, str(about["clip"]["join"])
        self.feature: dict[str, Any] = dict(about["feature"])
        self.temperature = float(about["temperature"]["value"])
        self.resamples = int(self.run.get("options", {}).get("resamples") or 2000)

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        return apply_temperature(probabilities, self.temperature)

    # ---- packs

    def on_pack(self, pack: Pack, rows: np.ndarray, *, change: Change | None = None) -> Answers:
        material = self.trained.adapt(self._material(pack, rows, change))
        shares, positions = self.trained.answers(material, np.arange(len(material.rows)))
        return Answers(shares, positions)

    def on_segments(self, pack: Pack, rows: np.ndarray, wanted: set[str]) -> tuple[Answers, list[str]]:
        """Those clips of `rows` whose id (track#number) is `wanted`: for splits that deal clips, not tracks."""
        from tonearm.recipes._prepare import segmented

        material = self._material(pack, rows, None)
        # Cut before it is checked, as in training: from then on a row is one clip.
        cut = segmented(self.trained.recipe, self._adapted_only(material))
        ids = cut.table.row_ids.tolist()
        chosen = np.flatnonzero([name in wanted for name in ids])
        shares, positions = self.trained.answers(self.trained.checked(cut), chosen)
        return Answers(shares, cut.table.row_track[positions]), [ids[i] for i in positions.tolist()]

    def _adapted_only(self, material: Any) -> Any:
        from tonearm.recipes._fits import fitted

        return fitted(self.trained.recipe, material, adapt=self.trained.adapted)

    def _material(self, pack: Pack, rows: np.ndarray, change: Change | None) -> Any:
        from tonearm.recipes._material import _frame_rate

        values, rows = pack.features, np.asarray(rows)
        if values.ndim not in (2, 3):
            raise TonearmError(f"{pack.folder}: no model of a run hears an array of {values.ndim} axes", code="shape")
        names = pack.ids[rows]
        if change is not None:
            values, rows = _changed(values, rows, change), np.arange(len(rows))
        return self._made(pack.name, names, values, rows, feature=pack.feature_config, frame_rate=_frame_rate(pack),
                          stored={"dtype": str(pack.features.dtype), "scale": pack.meta.get("scale")},
                          columns=tuple(pack.feature_columns) if pack.feature_columns else None)  # fmt: skip

    def _made(self, name: str, ids: np.ndarray, values: np.ndarray, rows: np.ndarray, **about: Any) -> Any:
        """Material for answers alone: rows stand for themselves, and nobody asks for their genres."""
        from tonearm.protocols import TrackTable
        from tonearm.recipes._material import Material

        empty = np.full(len(rows), "", dtype=np.str_)
        genre = np.array([self.classes[0]] * len(rows), dtype=np.str_)
        table = TrackTable(name, ids, genre, empty, empty, empty, ids, np.arange(len(rows)))
        return Material(name=name, table=table, values=values, rows=rows, classes=self.classes, **about)

    # ---- sound

    def on_waveforms(self, waveforms: Sequence[Waveform]) -> np.ndarray:
        arrays, owners = [], []
        for owner, waveform in enumerate(waveforms):
            some = [self.stored(piece) for piece in self.excerpts(waveform)]
            arrays += some
            owners += [owner] * len(some)
        shares, rows = self.on_stored(arrays)
        return join_rows(np.array(owners)[rows], shares, self.join)

    def on_stored(self, arrays: Sequence[np.ndarray]) -> Answers:
        """What it says of features as its pack stored them, each (rows, frames) or (columns,); in their order."""
        shares: list[np.ndarray] = []
        places: list[np.ndarray] = []
        shapes = [array.shape for array in arrays]
        for shape in dict.fromkeys(shapes):
            own = np.array([i for i, other in enumerate(shapes) if other == shape])
            answered, positions = self._of_one_shape(np.stack([arrays[i] for i in own]))
            shares.append(answered)
            places.append(own[positions])
        order = np.argsort(np.concatenate(places), kind="stable")
        return Answers(np.concatenate(shares)[order], np.concatenate(places)[order])

    def _of_one_shape(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        material = self.trained.adapt(self.material_of(values))
        return self.trained.answers(material, np.arange(len(values)))

    def material_of(self, values: np.ndarray) -> Any:
        """Features (n, ...) as the run's pack stored them, as what the recipe's model is asked with."""
        names = np.array([str(i) for i in range(len(values))], dtype=np.str_)
        about = self.trained.about
        return self._made(
            "sound", names, values, np.arange(len(values)), feature=self.feature, stored=about["stored"],
            frame_rate=about["clip"]["frame_rate"], columns=self._columns,
        )  # fmt: skip

    @cached_property
    def hears(self) -> features.Feature:
        """The feature, computable; a run that was adapted to what only its pack has cannot hear sound."""
        if set(self.feature) == {"kind"}:
            raise UsageError(
                f"{self.folder}: its model cannot hear sound: it learnt from {self.feature['kind']} as its pack had it",
                hint="evaluate it on a pack of the same feature",
                code="pack-only",
            )
        found = features.from_config(self.feature)
        return found if found.sample_rate else dataclasses.replace(found, sample_rate=NATIVE_RATE)

    @cached_property
    def _columns(self) -> tuple[str, ...] | None:
        names = self.hears.columns()
        return tuple(names) if names else None

    @property
    def plan(self) -> Any:
        """Which stretches are heard: all of a sound up to the length of a clip, else some spread over it."""
        from tonearm.runtime import _listen

        seconds = self.hears.clip_seconds or 30.0
        return _listen.Plan(self.hears.sample_rate, EXCERPTS, seconds, seconds)

    def excerpts(self, waveform: Waveform) -> list[Waveform]:
        from tonearm.runtime import _listen

        return _listen.listen(waveform, self.plan).excerpts

    def stored(self, waveform: Waveform) -> np.ndarray:
        """The feature of one stretch as the run's pack stored it; fewer frames where it is shorter than a clip."""
        feature = self.hears
        frames, seconds = getattr(feature, "frames", None), feature.clip_seconds
        if frames and seconds and waveform.seconds * 1.05 < seconds:
            some = max(1, round(frames * waveform.seconds / seconds))
            divisor = max((feature.frame_divisor or frames) * some / frames, some - 0.5)
            feature = dataclasses.replace(feature, frames=some, frame_divisor=divisor)
        about = self.trained.about["stored"]
        array = features.quantise(feature(waveform), about["dtype"], about["scale"])
        if array.ndim == 2 and array.shape[1] < self.trained.frames:
            array = np.take(array, np.arange(self.trained.frames) % array.shape[1], axis=1)
        return array

    # ---- what it learnt from

    @cached_property
    def training(self) -> Training:
        from tonearm.protocols import read_split

        split = read_split(self.folder / "split.json")
        # Of a split that deals clips, the tracks that they were cut from.
        ids = {
            part: frozenset(name.rsplit("#", 1)[0] if split.unit == "row" else name for name in names)
            for part, names in split.parts.items()
        }
        chosen = ids.get("select", ids.get("valid", frozenset()))
        if not self.run.get("epochs"):
            chosen = frozenset()  # nothing was chosen by it but the temperature, which no figure rests on
            learnt = ids["train"] | ids.get("select", frozenset())
        else:
            learnt = ids["train"]
        return Training((str(self.run["data"]["name"]),), learnt, chosen - learnt, ("train",), self._table)

    def _table(self) -> Any:
        """Tracks of the pack that it learnt from, where that still lies there unchanged."""
        from tonearm.protocols import table_of

        try:
            pack = open_pack(self.run["data"]["source"])
            same = pack.meta.get("sha256", {}).get("tracks.csv") == self.run["data"]["sha256"].get("tracks.csv")
            return table_of(pack) if same else None
        except (PackError, TonearmError, KeyError, OSError):
            return None


def _changed(values: np.ndarray, rows: np.ndarray, change: Change, block: int = 256) -> np.ndarray:
    """The changed rows, in memory, a block at a time."""
    found = None
    for start in range(0, len(rows), block):
        some = change(np.asarray(values[rows[start : start + block]]))
        if found is None:
            found = np.empty((len(rows), *some.shape[1:]), some.dtype)
        found[start : start + len(some)] = some
    return found
