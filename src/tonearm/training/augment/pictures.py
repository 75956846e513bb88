"""What is done to photographs.

None of it makes sense for sound: a rotated spectrogram has tones that glide, a shifted one is a clip with other pitch
(that one is harmless when small), a flipped one is played backwards. They are here because a published system trained
with them; leave them out of your own.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from tonearm.training.augment._augmentation import Augmentation, Batch, Drawn, along, augmentation


@augmentation("rotate", on="picture", bounds={"degrees": (0, 180)})
class Rotate(Augmentation):
    """The picture turned by up to `degrees`, its edge repeated. Of sound, it makes every steady tone glide."""

    degrees: float = 20.0

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        return {"radians": np.radians(draw.uniform(-self.degrees, self.degrees, n))}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        n, rows, frames = x.shape
        cos, sin = np.cos(drawn["radians"]), np.sin(drawn["radians"])
        nil = np.zeros(n)
        # In units of half the picture, which differ where it is not square.
        turn = [[cos, -sin * rows / frames, nil], [sin * frames / rows, cos, nil]]
        theta = torch.from_numpy(np.array(turn).transpose(2, 0, 1)).to(x.device, torch.float32)
        grid = functional.affine_grid(theta, [n, 1, rows, frames], align_corners=False)
        turned = functional.grid_sample(x.unsqueeze(1), grid, padding_mode="border", align_corners=False)
        return turned.squeeze(1), y


@augmentation("shift", on="picture", bounds={"rows": (0, 1), "frames": (0, 1)})
class Shift(Augmentation):
    """The picture moved by up to a share `rows` up or down and `frames` to the sides, its edge repeated."""

    rows: float = 0.2
    frames: float = 0.2

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        most = np.array([self.rows * shape[0], self.frames * shape[1]])[:, None]
        return {"by": draw.uniform(-1, 1, (2, n)) * most}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        for axis in (1, 2):
            places = np.arange(x.shape[axis]) - drawn["by"][axis - 1][:, None]
            x = along(x, torch.from_numpy(places).to(x.device, torch.float32), axis)
        return x, y


@augmentation("flip", on="picture")
class Flip(Augmentation):
    """Left and right exchanged, in half of the clips unless `probability` says otherwise: time runs backwards."""

    probability: float = 0.5

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        return {}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        return x.flip(-1), y
