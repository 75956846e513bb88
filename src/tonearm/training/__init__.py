"""The loop that trains nets. Importing this room imports torch."""

from tonearm.training.clips import Clips, Scale
from tonearm.training.loop import Outcome, fit, join, predict
from tonearm.training.settings import Settings, settings

__all__ = ["Clips", "Outcome", "Scale", "Settings", "fit", "join", "predict", "settings"]
