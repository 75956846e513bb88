"""A model asked and judged: its figures on data, what it loses to changes of the sound, what its answers rest on.

Above `evaluation`, which knows numbers only, and above `recipes`, `runs` and `runtime`, whose models are asked here.
"""

from tonearm.judging.judge import evaluate
from tonearm.judging.predictor import open_predictor

__all__ = ["evaluate", "open_predictor"]
