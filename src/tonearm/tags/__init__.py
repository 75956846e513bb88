"""Genres into the tags of music files: planned, seen, written safely, and taken back.

plan = tags.plan(files=["music"])  # what would change; nothing is touched
report = tags.apply(plan)          # written, with a journal
tags.undo()                        # as if nothing had been
"""

from tonearm.tags.deciding import POLICIES
from tonearm.tags.errors import CODES, TagError
from tonearm.tags.planning import Plan, describe, plan, read_plan
from tonearm.tags.predictions import Prediction, read_map
from tonearm.tags.undoing import history, undo
from tonearm.tags.writing import Report, apply

__all__ = [
    "CODES", "POLICIES", "Plan", "Prediction", "Report", "TagError", "apply", "describe", "history", "plan",
    "read_map", "read_plan", "undo",
]  # fmt: skip
