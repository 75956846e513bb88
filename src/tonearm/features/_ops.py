"""The few operations that numpy and torch call by different names, so that a formula is written once.

Each takes a numpy array or a torch tensor and returns the same kind. torch is never imported here: a tensor brings it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any  # a numpy array or a torch tensor

_constants: dict[tuple[int, str], tuple[np.ndarray, Array]] = {}


def is_numpy(x: Array) -> bool:
    return isinstance(x, np.ndarray)


def module(x: Array) -> Any:
    """numpy or torch, whichever made x."""
    return np if is_numpy(x) else sys.modules["torch"]


def constant(array: np.ndarray, like: Array) -> Array:
    """A numpy array beside `like`: itself, or a tensor on the device of `like`, kept if the array is read-only."""
    if is_numpy(like):
        return array
    key = (id(array), str(like.device))
    known = _constants.get(key)
    if known is not None and known[0] is array:
        return known[1]
    # A copy: the shared arrays are read-only, which torch does not know.
    values = array.astype(np.float32) if like.device.type == "mps" and array.dtype == np.float64 else array
    tensor = module(like).tensor(values, device=like.device)
    if not array.flags.writeable:
        if len(_constants) > 256:
            _constants.clear()
        _constants[key] = (array, tensor)  # with the array, so that its id is not given to another
    return tensor


def product(x: Array, weights: np.ndarray) -> Array:
    """x @ weights, in the precision of x, shape (..., columns).

    On a GPU in double: in single precision it may have been told to round to ten bits (TF32).
    """
    if not is_numpy(x) and x.device.type == "cuda":
        return (x.double() @ constant(weights, x).double()).to(x.dtype)
    return x @ constant(weights, x)


def float64(x: Array) -> Array:
    """In double precision, where the device has it (Apple's has not)."""
    if is_numpy(x):
        return x.astype(np.float64)
    return x.double() if x.device.type != "mps" else x.float()


def float32(x: Array) -> Array:
    return x.astype(np.float32, copy=False) if is_numpy(x) else x.float()


def at_least(x: Array, low: float | Array) -> Array:
    """Every element, or `low` where that is greater."""
    if is_numpy(x):
        return np.maximum(x, low)
    return x.clamp(min=low)


def largest(x: Array) -> Array:
    """The maximum over rows and frames of each clip, shape (..., 1, 1)."""
    return x.max(axis=(-2, -1), keepdims=True) if is_numpy(x) else x.amax(dim=(-2, -1), keepdim=True)


def lowest_and_highest(x: Array, count: int) -> tuple[Array, Array]:
    """The `count` smallest and greatest values along the last axis, each shape (..., count)."""
    if is_numpy(x):
        ordered = np.sort(x, axis=-1)
        return ordered[..., :count], ordered[..., -count:]
    return x.topk(count, dim=-1, largest=False).values, x.topk(count, dim=-1).values


def first_true(x: Array) -> Array:
    """The index of the first true element along the last axis."""
    return x.argmax(axis=-1) if is_numpy(x) else x.byte().argmax(dim=-1)


def running_sum(x: Array) -> Array:
    """Sum of the elements so far along the last axis, added one by one in the precision of x.

    torch adds in a wider type or in another order, which moves a threshold on the sum by a bin now and then.
    """
    if is_numpy(x):
        return np.cumsum(x, axis=-1)
    sums = x.movedim(-1, 0).contiguous()
    if sums.data_ptr() == x.data_ptr():
        sums = sums.clone()
    for i in range(1, len(sums)):
        sums[i] += sums[i - 1]
    return sums.movedim(0, -1)


def swap(x: Array) -> Array:
    """(..., frames, rows) to (..., rows, frames) or back, contiguous."""
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)) if is_numpy(x) else x.transpose(-1, -2).contiguous()


def swapped(x: Array) -> Array:
    """As `swap`, but a view."""
    return np.swapaxes(x, -1, -2) if is_numpy(x) else x.transpose(-1, -2)


def concat(parts: list[Array], axis: int) -> Array:
    return np.concatenate(parts, axis=axis) if is_numpy(parts[0]) else module(parts[0]).cat(parts, dim=axis)


def power_to_db(power: Array, *, ref: float | str = 1.0, top_db: float | None = 80.0, amin: float = 1e-10) -> Array:
    """Decibels relative to `ref` (a power, or "max": the greatest of each clip), floored at `top_db` below the peak.

    Of arrays (..., rows, frames) or (..., frames, rows): what leads is a batch, and each clip has its own peak.
    """
    log10 = module(power).log10
    decibels = log10(at_least(power, amin))
    decibels *= 10.0
    if ref == "max":
        # The decibels of the peak are the peak of the decibels.
        decibels -= largest(decibels)
    elif ref != 1.0:
        decibels -= 10.0 * float(np.log10(max(amin, ref)))
    if top_db is not None:
        decibels = at_least(decibels, largest(decibels) - top_db)
    return decibels


def padded(samples: Array, left: int, right: int) -> Array:
    """Zeros before and behind (..., n)."""
    if not (left or right):
        return samples
    if is_numpy(samples):
        return np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(left, right)])
    return module(samples).nn.functional.pad(samples, (left, right))


def copied(x: Array) -> Array:
    return x.copy() if is_numpy(x) else x.clone()


# Values that one step holds at once: a small block stays in a CPU's cache, a GPU wants much to do.
_STEP = {"cpu": 64 * 2048, "cuda": 1 << 26, "mps": 1 << 24}


def frames_per_step(frames: Array) -> int:
    """How many frames of (..., frames, values) to work on at once."""
    device = "cpu" if is_numpy(frames) else frames.device.type
    clips = max(1, int(np.prod(frames.shape[:-2])))
    return max(1, _STEP.get(device, _STEP["cuda"]) // (clips * frames.shape[-1]))


def per_frame(frames: Array, function: Callable[[Array], Array]) -> Array:
    """`function` of (..., frames, values) in steps of some frames, joined along the last axis: (..., [k,] frames).

    In one go, what the function makes on its way would be many times the clip, and the pages would cost more than
    the sums.
    """
    step = frames_per_step(frames)
    parts = [function(frames[..., at : at + step, :]) for at in range(0, frames.shape[-2], step)]
    return concat(parts, -1)
