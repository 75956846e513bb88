"""Whether data holds the feature that a model learnt from, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where in the clip the frames lie follows from its length; the frame rate says whether two packs agree in it.
_OF_THE_CLIP = ("kind", "clip_seconds", "frames", "frame_divisor")
# Two clips of one dataset differ by a frame or two.
_SAME_RATE = 0.02


def feature_differences(learnt: Mapping[str, Any], offered: Mapping[str, Any]) -> list[str]:
    """What `offered` (the feature of a pack, as `Feature.config()`) has otherwise than `learnt`, one clause each."""
    if learnt.get("kind") != offered.get("kind"):
        return [f"it holds {offered.get('kind', 'no known feature')}, not {learnt.get('kind')}"]
    found = [
        f"{key} is {_plain(offered.get(key))}, not {_plain(learnt.get(key))}"
        for key in dict.fromkeys([*learnt, *offered])
        if key not in _OF_THE_CLIP and offered.get(key) != learnt.get(key)
    ]
    one, other = (_frame_rate(config) for config in (learnt, offered))
    if (one is None) != (other is None) or (one and other and abs(one - other) > _SAME_RATE * one):
        found.append(f"it has {_frames(offered)}, not {_frames(learnt)}")
    return found


def _frame_rate(config: Mapping[str, Any]) -> float | None:
    """Frames a second of a feature whose frames are spread over the clip; None where each hop is a frame."""
    frames, seconds = config.get("frames"), config.get("clip_seconds")
    return float(frames) / float(seconds) if frames and seconds else None


def _frames(config: Mapping[str, Any]) -> str:
    if not config.get("frames"):
        return "every frame"
    return f"{config['frames']} frames in {_plain(config.get('clip_seconds'))} s"


def _plain(value: Any) -> str:
    return "its own" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
