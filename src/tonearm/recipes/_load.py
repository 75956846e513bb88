"""From the YAML files of this folder, or a file of the user's, to recipes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from tonearm.errors import UsageError, unknown_name
from tonearm.recipes._schema import Recipe, from_config

FOLDER = Path(__file__).parent
# What stands in a file beside a recipe's own keys: how one file holds many recipes.
_FAMILY = ("variants", "grid", "claims", "alone")
_POWER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def names() -> list[str]:
    """The names of all published systems and baselines, sorted."""
    return sorted(_all())


def get(name: str) -> Recipe:
    """The recipe of that name, or the one in the YAML file of that name (`recipe.yaml` of a run, or your own)."""
    found = _all()
    if name in found:
        return from_config(found[name])
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return read(path)
    raise unknown_name("recipe", name, found)


def read(path: Path) -> Recipe:
    """The one recipe of a YAML file."""
    found = _family(_yaml(path), path.stem)
    if len(found) > 1:
        raise UsageError(f"{path}: holds {len(found)} recipes", hint=f"keep one of: {', '.join(sorted(found))}")
    return from_config(next(iter(found.values())), where=str(path))


def changed(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """A recipe with some values replaced, named by dotted paths: {"model.kernel_size": 5, "training.epochs": 10}."""
    config = recipe.config()
    for path, value in settings.items():
        *sections, key = path.split(".")
        at: Any = config
        for section in sections:
            if not isinstance(at.get(section), dict):
                at[section] = {}
            at = at[section]
        at[key] = value
    return from_config(config, where=f"{recipe.name} with {', '.join(settings)}")


def parse_set(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` texts as dotted paths and YAML values."""
    from tonearm.features import parse_settings

    return _numbers(parse_settings(pairs, example="training.epochs=10"))


def _numbers(value: Any) -> Any:
    """YAML 1.1 takes 1e-4 for a text, which nobody means by it: the number instead, however deep it lies."""
    if isinstance(value, dict):
        return {key: _numbers(some) for key, some in value.items()}
    if isinstance(value, list):
        return [_numbers(some) for some in value]
    return float(value) if isinstance(value, str) and _POWER.fullmatch(value) else value


@lru_cache(maxsize=1)
def _all() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for name, config in _family(_yaml(path), path.stem).items():
            if name in found:
                raise ValueError(f"two recipes are named {name!r}, one in {path.name}")
            found[name] = config
    return found


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = _numbers(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no such file", hint="`tonearm recipes` lists those that are known"
        ) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: no recipe can be read from it: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: a recipe is a mapping of keys, not {type(content).__name__}")
    return content


def _family(content: dict[str, Any], stem: str) -> dict[str, dict[str, Any]]:
    """All recipes of a file by name: the file's own, its variants, and the combinations of its grid.

    `variants` are named after the file's own recipe, "-" between (none before "+"); each entry of `grid` is an axis
    whose keys are parts of the name ("" for none). `claims` gives each its own figure. With `alone: false` the file's
    own is no recipe.
    """
    base = {key: value for key, value in content.items() if key not in _FAMILY}
    name = base.setdefault("name", stem)
    found = {name: base} if content.get("alone", not content.get("grid")) else {}
    for suffix, change in (content.get("variants") or {}).items():
        found[_joined(name, suffix)] = _merged(base, change or {})
    axes = content.get("grid") or []
    for choice in itertools.product(*(axis.items() for axis in axes)) if axes else ():
        config = base
        for _, change in choice:
            config = _merged(config, change or {})
        found[_joined(name, *(part for part, _ in choice))] = config
    for key, claim in (content.get("claims") or {}).items():
        if key not in found:
            raise unknown_name(f"recipe in the claims of {name!r}:", key, found)
        found[key] = {**found[key], "claim": {**(found[key].get("claim") or {}), **claim}}
    return {key: {**config, "name": key} for key, config in found.items()}


def _joined(*parts: str) -> str:
    return "-".join(filter(None, parts)).replace("-+", "+")


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with another laid over it, section by section; another `kind` begins its section anew."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        if key == "caveats":
            result[key] = [*(old or []), *value]
        elif isinstance(value, Mapping) and isinstance(old, Mapping) and value.get("kind") in (None, old.get("kind")):
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result
