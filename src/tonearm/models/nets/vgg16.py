"""VGG16 from pictures of things to pictures of sound (Simonyan & Zisserman 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from tonearm.errors import TonearmError, UsageError
from tonearm.models.nets._layers import PICTURES, Colours, dense, one_of, picture, shrunk
from tonearm.models.nets._net import Net, net

# Widths of the thirteen convolutions; 0 is a pooling. In this order the public weight files number the layers
# (features.0.weight, features.2.weight, …), and the modules here.
LAYOUT = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
SCRATCH, IMAGENET = "scratch", "imagenet"
# The published file, with the sum that its name begins with.
_PUBLIC = {
    "name": "VGG16 of ImageNet",
    "url": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "bytes": 553_433_881,
    "sha256": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
}
# What the public weights were trained on: mean and deviation of red, green and blue in ImageNet.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Picture(nn.Module):
    """(batch, rows, frames) to (batch, 3, rows, frames), scaled as the photographs of ImageNet are."""

    def __init__(self, colours: bool) -> None:
        super().__init__()
        self.colours = Colours()
        self.grey = not colours
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        painted = self.colours.level(x).unsqueeze(1) if self.grey else self.colours(x)
        return (painted - self.mean) / self.deviation


class Vgg(nn.Module):
    """The thirteen convolutions, under the names of the public weight files: (batch, 3, …) to (batch, width)."""

    def __init__(self, rows: int, frames: int, share: float = 1.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for full in LAYOUT:
            if full:
                width = max(1, round(full * share))
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            else:
                size = shrunk(2, rows), shrunk(2, frames)
                layers.append(nn.MaxPool2d(size))
                rows, frames = rows // size[0], frames // size[1]
        self.features = nn.Sequential(*layers)
        self.width = channels * rows * frames

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.features(x).flatten(1)

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        return [layer for layer in self.features if isinstance(layer, nn.Conv2d)]


def _tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a weight file: safetensors, or a .pth of tensors alone (nothing in it is run)."""
    path = Path(path)
    hint = "use the file of torchvision's vgg16 (vgg16-397923af.pth), or that as safetensors"
    try:
        if path.suffix == ".safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                return load_file(path)
            except SafetensorError as error:
                raise ValueError(str(error)) from None
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise TonearmError(f"{path}: there is no such file of weights", hint=hint, code="missing") from None
    except Exception as error:
        # torch.load has a new kind of error for each way in which a file may be no weights.
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise TonearmError(f"{path}: not a file of weights: {reason}", hint=hint, code="not-weights") from None


def fetched() -> Path:
    """The published weights of ImageNet, fetched once and kept beside what else can be made again."""
    from tonearm import paths
    from tonearm.datasets import Archive
    from tonearm.datasets._fetch import fetch

    archive = Archive(**_PUBLIC, what="weights", folder="")
    try:
        return fetch(archive, paths.cache_folder() / "weights", attempts=3)
    except TonearmError as error:
        raise TonearmError(
            f"the weights of ImageNet could not be fetched: {error.message}",
            hint=f"give a file of them as weights=PATH, or weights={SCRATCH} begins without",
            code=error.code,
        ) from None


def load_vgg(vgg: Vgg, path: str | Path) -> None:
    """Fill the convolutions from a public weight file; what it has beside them (the classifier) is left out."""
    found = _tensors(path)
    wanted = {f"features.{name}": tensor for name, tensor in vgg.features.state_dict().items()}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise TonearmError(
            f"{path}: no weights of VGG16: {len(missing)} of {len(wanted)} tensors are missing, first {missing[0]}",
            hint="the keys must be those of torchvision's vgg16: features.0.weight …",
            code="not-weights",
        )
    for name, tensor in wanted.items():
        if not isinstance(found[name], torch.Tensor) or found[name].shape != tensor.shape:
            shape = tuple(getattr(found[name], "shape", ()))
            raise TonearmError(
                f"{path}: {name} has the shape {shape}, VGG16 has {tuple(tensor.shape)}", code="not-weights"
            )
    vgg.load_state_dict({name: found[name].float() for name in wanted})


def _share(width: float) -> float:
    if not isinstance(width, (int, float)) or not 0 < width <= 1:
        raise UsageError(f"width is a share of VGG16's widths, above 0 to 1, not {width!r}")
    return width


def _started(vgg: Vgg, weights: str | None, trainable: int) -> None:
    """Weights from a file, or none on request; then only the last `trainable` convolutions learn."""
    if weights is None:
        raise TonearmError(
            "VGG16 begins with the weights of ImageNet, and none were given",
            hint=f"weights=PATH of vgg16-397923af.pth or of the same as safetensors, weights={IMAGENET} to fetch it "
            f"(0.55 GB), or weights={SCRATCH} to begin without",
            code="needs-weights",
        )
    if weights != SCRATCH:
        load_vgg(vgg, fetched() if weights == IMAGENET else weights)
    else:
        for layer in vgg.convolutions:  # He et al. 2015; torch's own default fades away in thirteen layers
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    if not 0 <= trainable <= len(vgg.convolutions):
        raise UsageError(f"VGG16 has 13 convolutions: {trainable} of them cannot learn")
    for layer in vgg.convolutions[: len(vgg.convolutions) - trainable]:
        layer.requires_grad_(False)


@net("vgg16", scratch={"weights": SCRATCH}, small={"width": 0.125})
def vgg16(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    weights: str | None = None,
    trainable: int | None = None,
    width: float = 1.0,
    picture_as: str = "grey",
    hidden: Sequence[int] = (16,),
    dropout: float = 0.3,
) -> Net:
    """The convolutions of VGG16, the last four of which learn, a dense layer of 16, dropout.

    `weights` is the path of the public weights of ImageNet, or "imagenet" to fetch them, or "scratch": then all
    convolutions learn unless `trainable` says how many. `picture_as` is grey or colours. `width` makes all layers
    narrower (from scratch only).
    """
    rows, frames = picture(shape)
    one_of("picture_as", picture_as, PICTURES)
    vgg = Vgg(rows, frames, _share(width))
    _started(vgg, weights, (13 if weights == SCRATCH else 4) if trainable is None else trainable)
    more, size = dense(vgg.width, hidden, dropout=dropout)
    return Net(nn.Sequential(Picture(picture_as == "colours"), vgg, *more), nn.Linear(size, n_classes))


class Smaller(nn.Module):
    """The mean of each 2 x 2: the coarse picture that the first stage sees."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, 2)


class NewLayers(nn.Module):
    """Two new convolutions in front, which halve the picture: beside the coarse picture, what they add to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 3, 3, padding=1),
        )
        # They begin by adding nothing: the second stage starts where the first one ended.
        nn.init.zeros_(self.layers[2].weight)
        nn.init.zeros_(self.layers[2].bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x + self.layers(x), 2)


def _first_stage(path: str | Path, body: nn.Module, head: nn.Module) -> None:
    """Fill a second stage from the checkpoint or weights of the first, whose tensors lie under body. and head."""
    found = {name.removeprefix("net/"): tensor for name, tensor in _tensors(path).items()}
    for part, prefix in ((body, "body."), (head, "head.")):
        own = part.state_dict()
        try:
            part.load_state_dict(
                {name: found[prefix + name] for name in own if not name.startswith("1.layers.")}, False
            )
        except (KeyError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise TonearmError(
                f"{path}: not the first stage of this net: {reason}",
                hint="train it with stage=1 and give the path of its best.safetensors as start",
                code="not-weights",
            ) from None


@net(
    "vgg16-progressive",
    feature={"kind": "logmel", "n_mels": 84, "frames": 200},
    scratch={"weights": SCRATCH, "start": SCRATCH},
    small={"width": 0.125},
)
def vgg16_progressive(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    stage: int = 1,
    weights: str | None = None,
    start: str | None = None,
    width: float = 1.0,
    picture_as: str = "grey",
    new_filters: int = 16,
    hidden: Sequence[int] = (16,),
    dropout: float = 0.3,
) -> Net:
    """Two stages on pictures of 84 x 200: first coarse (42 x 100) into a frozen VGG16, then with two new layers.

    In stage 1 only the dense layers learn, on VGG16 from `weights`. Stage 2 begins from the checkpoint of the first,
    `start`, and only the two new convolutions, which see the fine picture, and the dense layers learn.
    """
    rows, frames = picture(shape)
    if rows < 2 or frames < 2:
        raise UsageError(f"a picture of {rows} x {frames} cannot be halved")
    if stage not in (1, 2):
        raise UsageError(f"stage is 1 or 2, not {stage!r}")
    one_of("picture_as", picture_as, PICTURES)
    vgg = Vgg(rows // 2, frames // 2, _share(width))
    _started(vgg, weights if stage == 1 else SCRATCH, 0)
    more, size = dense(vgg.width, hidden, dropout=dropout)
    front = Smaller() if stage == 1 else NewLayers(new_filters)
    body, head = nn.Sequential(Picture(picture_as == "colours"), front, vgg, *more), nn.Linear(size, n_classes)
    if stage == 2 and start is None:
        raise TonearmError(
            "the second stage begins with the first one, and none was given",
            hint="train with stage=1, then give start=PATH of its best.safetensors",
            code="needs-weights",
        )
    if stage == 2 and start != SCRATCH:
        _first_stage(start, body, head)
    return Net(body, head)
