"""Features as people type them on a command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tonearm.errors import UsageError
from tonearm.features.base import Feature, create, from_config, registry


def parse_settings(settings: Iterable[str], *, example: str = "n_mels=64") -> dict[str, Any]:
    """`key=value` pairs as keywords; the values are YAML: 128, 0.5, true, null, text, [mfcc, zcr], {kind: mfcc}."""
    import yaml

    keywords = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"a setting is key=value, not {setting!r}", hint=f"for example: --set {example}")
        try:
            keywords[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"the value of {name.strip()} is not understood: {value!r}") from None
    return keywords


def from_settings(name: str, settings: Iterable[str] = ()) -> Feature:
    """The feature that `--feature NAME --set key=value ...` means.

    NAME is a kind; or a pack, whose feature is taken; or a JSON or YAML file with a feature's config in it.
    """
    keywords = parse_settings(settings)
    if name in registry:
        return create(name, **keywords)
    path = Path(name)
    if path.is_dir():
        path = path / "pack.json"
    if not path.is_file():
        registry.get(name)  # says which kinds there are
    return from_config({**_read(path), **keywords})


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        # JSON is nearly YAML, but its own reader is far faster and knows all of it.
        text = path.read_text(encoding="utf-8")
        config = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: no feature can be read from it: {error}") from None
    if isinstance(config, dict) and isinstance(config.get("feature"), dict):
        config = config["feature"]  # a pack.json, or any file that has a feature in it
    if not isinstance(config, dict):
        raise UsageError(f"{path}: there is no feature in it")
    return config
