"""A fitted classical model as one file: arrays and a configuration, no code."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np

from tonearm.errors import TonearmError
from tonearm.models._classical import Classical, create

FORMAT = "classical-model/1"


def save(model: Classical, path: str | Path) -> None:
    """Write a model; whatever stood there before stays whole until the new one is."""
    if not model.fitted:
        raise TonearmError("a model that has learnt nothing is not worth a file", hint="fit it first")
    path = Path(path)
    about = {"format": FORMAT, "n_classes": model.n_classes, "config": model.config()}
    text = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            np.savez(file, about=text, **{f"learnt/{name}": array for name, array in model.learnt.items()})
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TonearmError(f"{path}: {error.strerror or error}", hint="the model was not saved") from None


def load(path: str | Path) -> Classical:
    """Read a model. It runs no code: arrays of numbers and a configuration are all that is accepted."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(bytes(arrays["about"]))
            learnt = {name.removeprefix("learnt/"): arrays[name] for name in arrays if name.startswith("learnt/")}
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']!r}, not {FORMAT!r}")
        config = dict(about["config"])
        model = create(config.pop("kind"), about["n_classes"], **config)
    except FileNotFoundError:
        raise TonearmError(f"{path}: there is no such file", code="missing") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TonearmError(f"{path}: not a model of tonearm ({error})", code="not-a-model") from None
    model.learnt = learnt
    return model
