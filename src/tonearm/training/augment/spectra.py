"""Changes of a spectrogram that leave its genre alone: pitch, tempo, colour, noise."""

from __future__ import annotations

import numpy as np
import torch

from tonearm.errors import unknown_name
from tonearm.training.augment._augmentation import Augmentation, Batch, Drawn, along, augmentation, column

DIRECTIONS = ("frames", "rows", "both")


@augmentation("mel-shift", on="spectrogram", bounds={"most": (1, 1000)})
class MelShift(Augmentation):
    """The bands moved up or down by up to `most` of them, as if the pitch were: the edge is repeated."""

    most: int = 4

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        return {"bands": draw.integers(-self.most, self.most + 1, n)}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        rows = np.arange(x.shape[1])
        places = np.clip(rows - drawn["bands"][:, None], 0, len(rows) - 1)
        return x.gather(1, torch.from_numpy(places).to(x.device)[:, :, None].expand(x.shape)), y


@augmentation("resize", on="spectrogram", bounds={"least": (0.1, 1), "most": (1, 10)})
class Resize(Augmentation):
    """The clip stretched or shrunk by a factor, around a random point: in time, over the bands, or both.

    A clip that shrinks has its edges repeated.
    """

    least: float = 0.8
    most: float = 1.25
    direction: str = "frames"

    def check(self) -> None:
        if self.direction not in DIRECTIONS:
            raise unknown_name("direction", self.direction, DIRECTIONS)

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        # Half of them longer, half of them shorter: the logarithm is what lies evenly.
        factors = np.exp(draw.uniform(np.log(self.least), np.log(self.most), (2, n)))
        return {"factor": factors, "around": draw.random((2, n))}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        for axis, name in ((1, "rows"), (2, "frames")):
            if self.direction in (name, "both"):
                middle = drawn["around"][axis - 1][:, None] * (x.shape[axis] - 1)
                places = middle + (np.arange(x.shape[axis]) - middle) / drawn["factor"][axis - 1][:, None]
                x = along(x, torch.from_numpy(places).to(x.device, torch.float32), axis)
        return x, y


@augmentation("equalise", on="spectrogram", bounds={"filters": (1, 20), "strength": (0, 10)})
class Equalise(Augmentation):
    """A few broad bumps and dips over the bands, as another record or room would have them.

    Each lifts or lowers its bands by up to `strength` (in deviations of the feature).
    """

    filters: int = 3
    strength: float = 0.5

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        size = (n, self.filters)
        return {
            "middle": draw.random(size),
            "width": draw.uniform(0.05, 0.3, size),
            "gain": draw.uniform(-self.strength, self.strength, size),
        }

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        places = np.linspace(0, 1, x.shape[1])
        away = (places - drawn["middle"][..., None]) / drawn["width"][..., None]
        curve = (drawn["gain"][..., None] * np.exp(-0.5 * away * away)).sum(axis=1)
        return x + torch.from_numpy(curve).to(x.device, torch.float32)[:, :, None], y


@augmentation("white-noise", on="spectrogram", bounds={"strength": (0, 10)})
class WhiteNoise(Augmentation):
    """Noise on every value, of a deviation up to `strength`."""

    strength: float = 0.2

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        return {"deviation": draw.uniform(0, self.strength, n), "seed": draw.integers(0, 2**63 - 1, 1)}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        # torch's own generator: numpy would take as long as a training step. On the CPU it is the same everywhere.
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(int(drawn["seed"][0]))).to(x.device)
        return x + noise * column(drawn["deviation"], x), y
