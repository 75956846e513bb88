"""Which models there are, and from a name or path to one of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonearm.errors import TonearmError, UsageError
from tonearm.paths import models_folder

if TYPE_CHECKING:
    from tonearm.runtime._model import Model

DEFAULT = "fma"
WEIGHTS = Path(__file__).parent / "weights"
SUFFIXES = (".onnx", ".npz")


def folders() -> list[Path]:
    """Where models are looked for by name, first come first served: `TONEARM_MODELS`, the user's own, the shipped."""
    own = os.environ.get("TONEARM_MODELS")
    return [*([Path(own)] if own else []), models_folder(), WEIGHTS]


def named() -> dict[str, Path]:
    """Every model that has a name, with its file."""
    found: dict[str, Path] = {}
    for folder in folders():
        for suffix in SUFFIXES:
            for path in sorted(folder.glob(f"*{suffix}")) if folder.is_dir() else ():
                found.setdefault(path.stem, path)
    return found


def shipped() -> list[dict[str, Any]]:
    """What each model that has a name says about itself, with its `bytes` and `path`; one that is broken: `error`."""
    return [describe(name, path) for name, path in sorted(named().items())]


def describe(name: str, path: Path) -> dict[str, Any]:
    """One model as `tonearm models --json` tells it."""
    from tonearm.runtime._file import read_bytes, read_info, version_of

    try:
        content = read_bytes(path)
        if path.suffix == ".npz":
            info = load(path).info
        else:
            info = read_info(path, content)
    except TonearmError as error:
        return {"name": name, "classes": [], "bytes": None, "figures": [], "path": str(path),
                "error": {"code": error.code, "message": error.message}}  # fmt: skip
    return {**info, "name": name, "version": version_of(content), "bytes": len(content), "path": str(path),
            "error": None}  # fmt: skip


def find(name_or_path: str | os.PathLike = DEFAULT) -> Path:
    """The file that a name or path means; a UsageError says what there is."""
    path = Path(os.path.expanduser(os.fspath(name_or_path)))
    known = named()
    if isinstance(name_or_path, str) and name_or_path in known:
        return known[name_or_path]
    if path.exists():
        return path
    have = f"there are: {', '.join(sorted(known))}; or give the path of a model file" if known else (
        "no model comes with this installation: give the path of a model file"
    )  # fmt: skip
    raise UsageError(f"no model is called {os.fspath(name_or_path)!r}", hint=have, code="unknown-name")


def load(name_or_path: str | os.PathLike = DEFAULT) -> Model:
    """The model of that name ("gtzan", "fma"), or of that file: an ONNX file, or a personal model of `tonearm learn`.

    Cheap: ONNX Runtime is imported when the first sound is heard.
    """
    path = find(name_or_path)
    if path.is_dir():
        hint = f"write its model as a file first: tonearm export {path} -o model.onnx"
        raise UsageError(f"{path}: it is a folder, not a model file", hint=hint)
    if path.suffix == ".npz":
        from tonearm.runtime import personal

        return personal.load(path)
    from tonearm.runtime._model import Model

    return Model(path)
