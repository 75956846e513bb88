"""Where training stood, on disk, without pickle: tensors as safetensors, the rest as JSON in the same file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tonearm.errors import TonearmError

FORMAT = "checkpoint/1"


def save(path: Path, tensors: dict[str, dict[str, torch.Tensor]], about: dict[str, Any]) -> None:
    """Write groups of tensors and plain data; what stood there before stays whole until the new one is."""
    flat = {
        f"{group}/{name}": t.detach().cpu().contiguous() for group, some in tensors.items() for name, t in some.items()
    }
    beside = path.with_name(path.name + ".part")
    try:
        # Shared memory is not allowed in the format, and tied or averaged weights share it: hence the clones.
        save_file(
            {name: t.clone() for name, t in flat.items()}, beside, {"about": json.dumps({**about, "format": FORMAT})}
        )
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        beside.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise TonearmError(
            f"{path}: the checkpoint could not be written: {reason}",
            hint="make room; training goes on from the checkpoint before",
            code="write",
        ) from None


def load(path: Path) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, Any]]:
    """Read what `save` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
        if about.pop("format") != FORMAT:
            raise ValueError("another format")
    except FileNotFoundError:
        raise TonearmError(f"{path}: there is no checkpoint", code="missing") from None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise TonearmError(f"{path}: not a checkpoint of tonearm ({error})", code="not-a-checkpoint") from None
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in flat.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = tensor
    return groups, about


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimizer's state as named tensors and plain data."""
    state = optimizer.state_dict()
    tensors, plain = {}, {}
    for number, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{number}/{name}"] = value
            else:
                plain[f"{number}/{name}"] = value
    return tensors, {"groups": state["param_groups"], "values": plain}


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], about: dict[str, Any]
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *about["values"].items()]:
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": about["groups"]})
