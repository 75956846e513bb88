"""One residual network behind three ways to hear: samples, the bins of a spectrum, or both."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from tonearm.errors import UsageError
from tonearm.models.nets._layers import dense, one_of, picture, wave
from tonearm.models.nets._net import Net, net
from tonearm.models.nets.cnn1d import OverTime

INPUTS = ("raw", "spectrum", "both")


class Spectrum(nn.Module):
    """Samples (batch, 1, n) to magnitudes of the STFT in dB (batch, bins, frames), each clip standardised."""

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        around = self.n_fft // 2
        samples = functional.pad(x.squeeze(1).float(), (around, around))
        how = {"n_fft": self.n_fft, "hop_length": self.hop_length, "window": self.window, "center": False}
        if torch.jit.is_tracing():  # the way to ONNX knows no complex numbers, which torch would rather return
            parts = torch.stft(samples, **how, return_complex=False)
        else:
            parts = torch.view_as_real(torch.stft(samples, **how, return_complex=True))
        decibels = 10 * torch.log10((parts * parts).sum(-1).clamp(min=1e-10))
        middle = decibels.mean((1, 2), keepdim=True)
        away = decibels - middle
        return away / (away * away).mean((1, 2), keepdim=True).add(1e-6).sqrt()


class Both(nn.Module):
    """The first layers of samples and spectrum side by side: (batch, 2 * width, steps)."""

    def __init__(self, raw: nn.Module, spectrum: nn.Module) -> None:
        super().__init__()
        self.raw, self.spectrum = raw, spectrum

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heard, seen = self.raw(x), self.spectrum(x)
        steps = min(heard.shape[-1], seen.shape[-1])
        return torch.cat([heard[..., :steps], seen[..., :steps]], 1)


class Residual(nn.Module):
    """Three layers, the first added to the third."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second, self.third = (
            nn.Sequential(
                nn.Conv1d(width, width, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ELU(),
                nn.Dropout(dropout),
            )
            for _ in range(3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        return first + self.third(self.second(first))


def _first(convolution: nn.Module, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm1d(width), nn.ELU(), nn.Dropout(dropout))


@net("padova", feature={"kind": "raw", "sample_rate": 44100})
def padova(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    inputs: str = "raw",
    width: int = 128,
    kernel_size: int = 3,
    n_fft: int = 2048,
    hop_length: int = 1024,
    spectrum_kernel: int = 3,
    hidden: Sequence[int] = (128, 64),
    dropout: float = 0.0,
) -> Net:
    """A first layer per input, a residual block, mean and maximum over time, three dense layers; ELU throughout.

    `inputs` raw takes samples (1, n); spectrum takes the feature stft (bins, frames), over all bins at once; both
    takes samples, computes the spectrum itself, and has each first layer at half the width. The first layer on
    samples is as long as a window and steps as the spectrum does, so that both have the same steps in time.
    """
    one_of("inputs", inputs, INPUTS)
    if inputs == "spectrum":
        rows, _ = picture(shape)
    elif wave(shape) < hop_length:
        raise UsageError(f"{shape[1]} samples are less than one step of {hop_length}", hint="give longer clips")
    else:
        rows = n_fft // 2 + 1
    share = width // 2 if inputs == "both" else width
    # Padding as the STFT has it, so that step t lies at sample t * hop_length for both.
    heard = _first(nn.Conv1d(1, share, n_fft, hop_length, padding=n_fft // 2, bias=False), share, dropout)
    # A 2D convolution whose kernel has the height of the picture is a 1D one with the bins as channels.
    seen = _first(
        nn.Conv1d(rows, share, spectrum_kernel, padding=spectrum_kernel // 2, bias=False), share, dropout
    )  # fmt: skip
    if inputs == "both":
        first = Both(heard, nn.Sequential(Spectrum(n_fft, hop_length), seen))
    else:
        first = heard if inputs == "raw" else seen
    more, size = dense(2 * width, hidden, activation=nn.ELU, dropout=dropout, batch_norm=True)
    body = [first, Residual(width, kernel_size, dropout), OverTime("mean-max"), *more]
    return Net(nn.Sequential(*body), nn.Linear(size, n_classes))
