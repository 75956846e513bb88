"""Arrays on disk with their tracks: read, write, verify, build."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tonearm.packs.pack import FORMAT, Pack, PackError, open_pack
from tonearm.packs.track import Track

if TYPE_CHECKING:
    from tonearm.packs._build import Report, build
    from tonearm.packs._clips import Clips
    from tonearm.packs._edit import merge, select
    from tonearm.packs._export import export
    from tonearm.packs._info import info
    from tonearm.packs._plan import Plan
    from tonearm.packs._verify import Finding, verify
    from tonearm.packs._write import write_pack

# What only some commands need is imported when it is first asked for: reading a pack and naming a Track stay cheap.
_LATER = {
    "Clips": "_clips",
    "Finding": "_verify",
    "Plan": "_plan",
    "Report": "_build",
    "build": "_build",
    "export": "_export",
    "info": "_info",
    "merge": "_edit",
    "select": "_edit",
    "verify": "_verify",
    "write_pack": "_write",
}

__all__ = [
    "FORMAT",
    "Clips",
    "Finding",
    "Pack",
    "PackError",
    "Plan",
    "Report",
    "Track",
    "build",
    "export",
    "info",
    "merge",
    "open_pack",
    "select",
    "verify",
    "write_pack",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
