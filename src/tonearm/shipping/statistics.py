"""Statistics of a whole clip's bands as a part of the graph: timbre, its spread, its course, and its rhythm.

The same numbers as a table of columns would hold, but written in operators that ONNX has, so that the shipped file
computes them itself. Means and deviations over time by band, quantiles, cepstra with their correlations, and the power
of slow swings of sixteen groups of bands (after the modulation spectra of McKinney and Breebaart 2003).
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import nn

CEPSTRA = 24
CORRELATED = 16
GROUPS = 16
# Hz; the last edges only where the pack has frames enough.
SWINGS_HZ = (0.1, 0.25, 0.5, 0.8, 1.2, 1.7, 2.14, 3.0, 4.5, 6.4)


class Statistics(nn.Module):
    """(batch, bands, frames), 0 to 1, at `frames` exactly, to (batch, columns)."""

    def __init__(self, bands: int, frames: int, frames_per_second: float) -> None:
        super().__init__()
        self.bands, self.frames = bands, frames
        # Quantiles by their places among the sorted frames: so many from below, so many from above.
        self.low, self.high = 1 + round(0.1 * (frames - 1)), frames - round(0.9 * (frames - 1))
        n = np.arange(bands)
        dct = np.sqrt(2 / bands) * np.cos(np.pi * (2 * n[None] + 1) * np.arange(CEPSTRA)[:, None] / (2 * bands))
        dct[0] /= np.sqrt(2)
        self.register_buffer("dct", torch.from_numpy(dct.astype(np.float32)))
        pairs = np.triu_indices(CORRELATED, 1)
        self.register_buffer("pairs", torch.from_numpy(pairs[0] * CORRELATED + pairs[1]))
        self._swings(frames, frames_per_second)

    def _swings(self, frames: int, frames_per_second: float) -> None:
        """The Fourier transform of a few hundred frames as a product: ONNX has no real one that is quick."""
        hz = np.fft.rfftfreq(frames, 1 / frames_per_second)
        edges = [edge for edge in SWINGS_HZ if edge <= frames_per_second / 2]
        kept = [np.flatnonzero((hz >= low) & (hz < high)) for low, high in itertools.pairwise(edges)]
        wanted = np.concatenate(kept)
        phase = 2 * np.pi * np.outer(np.arange(frames), wanted) / frames
        taper = np.hanning(frames)[:, None]
        self.register_buffer("cosine", torch.from_numpy((taper * np.cos(phase)).astype(np.float32)))
        self.register_buffer("sine", torch.from_numpy((taper * np.sin(phase)).astype(np.float32)))
        share = np.zeros((len(wanted), len(kept)), np.float32)
        begin = 0
        for column, some in enumerate(kept):
            share[begin : begin + len(some), column] = 1 / len(some)
            begin += len(some)
        self.register_buffer("share", torch.from_numpy(share))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.shape[0]
        step = x[:, :, 1:] - x[:, :, :-1]
        # The least of the greatest tenth and the greatest of the least: a third of the time of sorting all.
        low = x.topk(self.low, dim=2, largest=False, sorted=False).values.amax(2)
        high = x.topk(self.high, dim=2, sorted=False).values.amin(2)
        cepstra = torch.matmul(self.dct, x)
        middle, spread = cepstra.mean(2, keepdim=True), _deviation(cepstra).unsqueeze(2)
        unit = (cepstra - middle) / (spread + 1e-3)
        unit = unit[:, :CORRELATED]
        alike = torch.matmul(unit, unit.transpose(1, 2)) / self.frames
        total = x.mean(1)
        curve = total - total.mean(1, keepdim=True)
        lean = (curve**3).mean(1) / (_deviation(total) ** 3 + 1e-3)
        groups = x.reshape(n, GROUPS, self.bands // GROUPS, self.frames).mean(2)
        groups = groups - groups.mean(2, keepdim=True)
        power = torch.matmul(groups, self.cosine) ** 2 + torch.matmul(groups, self.sine) ** 2
        swings = torch.log(torch.matmul(power, self.share) + 1e-4)
        parts = [
            x.mean(2), torch.log(_deviation(x) + 0.01), torch.log(_deviation(step) + 0.01),
            low, high,
            middle.squeeze(2), torch.log(spread.squeeze(2) + 0.01),
            alike.reshape(n, CORRELATED * CORRELATED).index_select(1, self.pairs),
            swings.reshape(n, -1),
            torch.stack([total.mean(1), _deviation(total), (total[:, 1:] - total[:, :-1]).abs().mean(1), lean], 1),
        ]  # fmt: skip
        return torch.cat(parts, 1)


def _deviation(x: torch.Tensor) -> torch.Tensor:
    """The deviation over the last axis; written out, because ONNX has no operator for it."""
    return ((x - x.mean(-1, keepdim=True)) ** 2).mean(-1).sqrt()
