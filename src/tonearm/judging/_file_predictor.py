"""A model file or a shipped model, asked through the runtime: no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tonearm import features
from tonearm.audio import Waveform
from tonearm.errors import TonearmError
from tonearm.evaluation.matching import feature_differences
from tonearm.judging.predictor import Answers, Change, Training, feature_of
from tonearm.packs import Pack

BLOCK = 64


class FilePredictor:
    """A model of the runtime; its probabilities have its temperature already, and clips are joined inside."""

    kind = "model"

    def __init__(self, name_or_path: str | os.PathLike) -> None:
        from tonearm import runtime

        self.model = runtime.load(name_or_path)
        self.name, self.version = self.model.name, self.model.version
        self.classes, self.threshold = tuple(self.model.genres), float(self.model.threshold)
        self.feature: dict[str, Any] = feature_of(self.model.info["feature"])
        self.join = str(self.model.info.get("clips", {}).get("join", "log-mean"))
        self.temperature = float(self.model.info.get("temperature", 1.0))

    @property
    def plan(self) -> Any:
        return self.model.plan

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities

    def on_pack(self, pack: Pack, rows: np.ndarray, *, change: Change | None = None) -> Answers:
        encode = self._encoder(pack)
        rows, found = np.asarray(rows), []
        for start in range(0, len(rows), BLOCK):
            block = np.asarray(pack.features[rows[start : start + BLOCK]])
            block = change(block) if change is not None else block
            found.append(self.model.from_features(encode(block))[0])
        return Answers(np.concatenate(found), np.arange(len(rows)))

    def on_waveforms(self, waveforms: Sequence[Waveform]) -> np.ndarray:
        # `predict` would answer for silence and noise that nothing is known; here the model itself is asked.
        return np.stack([self.model.ask(waveform)[0] for waveform in waveforms])

    def _encoder(self, pack: Pack) -> Any:
        """What makes of a block of the pack, as stored, what the graph wants; a pack of another feature is refused."""
        have = feature_of(pack.feature_config)
        differs = feature_differences(self.feature, have)
        stored = self.model.info.get("stored", {"dtype": "uint8", "scale": "clip-minmax"})
        scale = pack.meta.get("scale")
        same = pack.features.dtype == stored["dtype"] and (
            pack.features.dtype != np.uint8 or _kind(scale) == _kind(stored.get("scale"))
        )
        # Bytes between the clip's lowest and highest value have lost their unit; everything else can be scaled anew.
        if not same and pack.features.dtype == np.uint8 and _kind(scale) == "clip-minmax":
            differs.append("its values are scaled to the range of each clip")
        if differs:
            raise TonearmError(
                f"{pack.folder} is not what {self.name} hears: {'; '.join(differs)}",
                hint="give the audio, or a pack of the same feature (`tonearm pack build … --feature`)",
                code="pack-lacks",
            )
        if same:
            return lambda block: block.astype(np.float32)

        def encode(block: np.ndarray) -> np.ndarray:
            rows = features.restore(block, scale)
            done = [features.quantise(row, stored["dtype"], stored.get("scale")) for row in rows]
            return np.stack(done).astype(np.float32)

        return encode

    @cached_property
    def training(self) -> Training:
        """From the model's own description: `training` with `data`, and `ids` or `parts`."""
        told = self.model.info.get("training") or {}
        data, ids = told.get("data") or (), told.get("ids")
        names = [data] if isinstance(data, str | dict) else list(data)
        names = [some.get("name", "") if isinstance(some, dict) else some for some in names]
        # Parts are those of the data's own split; of a split that was made for the training only ids can tell.
        own = told.get("protocol") in (None, "official")
        parts = told.get("parts") or (("train",) if own else ())
        return Training(
            tuple(map(str, names)), frozenset(map(str, ids)) if ids else None, frozenset(), tuple(map(str, parts))
        )


def _kind(scale: Any) -> str | None:
    return None if scale is None else features._scale.scale_kind(scale)
