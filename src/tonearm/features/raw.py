"""The samples themselves, for networks that listen to sound."""

from __future__ import annotations

from typing import Any

from tonearm.errors import UsageError
from tonearm.features import _fields, _ops
from tonearm.features._grid import Grid
from tonearm.features._spectra import Spectra
from tonearm.features.base import Feature, feature


@feature("raw")
class Raw(Feature):
    """Samples as one row, shape (1, samples), or cut into frames, shape (frame_length, frames).

    What does not fill the last frame is left out; a clip shorter than one frame is filled up with zeros.
    """

    frame_length: int | None = _fields.whole(
        None, "samples in a frame; null is the whole clip as one row", optional=True
    )
    hop_length: int | None = _fields.whole(
        None, "samples from one frame to the next; null is frame_length", optional=True
    )

    def check(self) -> None:
        if self.hop_length is not None and self.frame_length is None:
            raise UsageError("hop_length without frame_length says nothing", hint="give both, or neither")

    @property
    def grid(self) -> Grid:
        return Grid(self.frame_length, self.hop_length or self.frame_length, window="rectangular", center=False)

    @property
    def rows(self) -> int:
        return self.frame_length or 1

    def columns(self) -> list[str]:
        return [f"sample{number}" for number in range(self.rows)]

    def frame_count(self, n_samples: int) -> int:
        return n_samples if self.frame_length is None else self.grid.count(n_samples)

    def compute(self, spectra: Spectra) -> Any:
        if self.frame_length is None:
            row = _ops.padded(spectra.samples, 0, spectra.n_samples - spectra.samples.shape[-1])
            return _ops.copied(row[..., None, :])
        return _ops.swap(spectra.windows(self.grid))
