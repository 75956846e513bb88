"""Runs side by side: seeds and folds of one system are one row, and only what was judged on the same tracks is tested.

The comparison is plain data, made for JSON and for pages:

    {"on": "auto" or a part,
     "tests": [{"test": "A", "data", "protocol", "split", "split_hash", "part", "unit", "n", "leaky"}, …],
     "rows": [{"name", "recipe", "title", "claim", "caveats", "runs": [folders], "seeds", "folds", "status", "error",
               "test": "A" or None, "data", "protocol", "split", "part", "unit", "chosen_on_this", "leaky", "adapted",
               "quick", "n", "accuracy", "interval", "interval_over", "by_seed", "sd_over_seeds",
               "interval_over_seeds", "balanced_accuracy", "f1_macro", "log_loss", "ece", "parameters", "epochs",
               "seconds", "machine", "differs": {setting: value}, "marks": [sentences],
               "curves": [{"run", "seed", "rows": [{"epoch", "train_loss", "valid_loss", "valid_accuracy", …}]}],
               "against_best": None or {"best", "difference", "interval", "interval_over_tracks",
                   "interval_over_seeds", "by_seed", "test", "p_value", "p_holm", "told_apart",
                   "mcnemar": None or {"only_this", "only_other", "p_value"}, "tracks_needed"}}, …],
     "notes": [sentences]}

Rows of one test stand together, the best first; then those that have no figure, with `status` and `error`. A test is
tracks of one data set, in one part of one split: between different tests nothing is ranked. Shares go from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tonearm import runs
from tonearm.errors import TonearmError, UsageError
from tonearm.experiments import _effects, _rows
from tonearm.experiments._rows import System

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class _Told:
    row: dict[str, Any]
    answers: _effects.Answers | None


def compare(folders: Sequence[str | Path], *, on: str = "auto", resamples: int = 2000) -> dict[str, Any]:
    """Compare the runs in and below `folders`; `on` names a part, or takes test where there is one, else validation."""
    found = list(dict.fromkeys(runs.find(folders)))
    if not found:
        raise UsageError(
            f"no runs in {', '.join(map(str, folders))}", hint="`tonearm train … -o RUN` makes one", code="no-runs"
        )
    told = [_tell(system, on, resamples) for system in _rows.systems(found)]
    _rows.name([one.row for one in told])
    tests = _tests([one.row for one in told])
    for test in tests:
        _against_best([one for one in told if one.row["test"] == test["test"]], resamples)
    order = {test["test"]: i for i, test in enumerate(tests)}
    rows = sorted(
        (one.row for one in told),
        key=lambda row: (order.get(row["test"], len(tests)), -(row["accuracy"] or 0.0), row["name"]),
    )
    return {"on": on, "tests": tests, "rows": rows, "notes": _notes(rows, tests)}


def _tell(system: System, on: str, resamples: int) -> _Told:
    row = _rows.described(system)
    if row["status"] != "finished":
        return _Told(row, None)
    try:
        part = _rows.part_of(system, on)
        figures, answers = _rows.figures(system, part, resamples)
    except TonearmError as error:
        row |= {"status": "unreadable", "error": error.message}
        return _Told(row, None)
    row |= figures
    row["marks"] = _rows.marks(row)
    return _Told(row, answers)


def _tests(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was judged on what: a letter for each, in every row; the one with most rows first."""
    keys = ("data", "protocol", "split", "split_hash", "part", "unit", "n", "leaky")
    found: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        if row["accuracy"] is not None:
            found.setdefault((row["data_hash"], row["split_hash"], row["part"], row["unit"]), []).append(row)
    tests = []
    ranked = sorted(found.values(), key=lambda some: (-len(some), -max(row["accuracy"] for row in some)))
    for i, some in enumerate(ranked):
        letter = LETTERS[i] if i < len(LETTERS) else f"{LETTERS[i % 26]}{i // 26}"
        for row in some:
            row["test"] = letter
        tests.append({"test": letter, **{key: some[0][key] for key in keys}})
    return tests


def _against_best(told: Sequence[_Told], resamples: int) -> None:
    """Every row of a test against its best, with Holm's correction over them."""
    best = min(told, key=lambda one: (-one.row["accuracy"], one.row["name"]))
    made = []
    for one in told:
        if one is best or one.answers is None or best.answers is None:
            continue
        try:
            ours = _effects.in_order(one.answers, best.answers.ids)
            one.row["against_best"] = {
                "best": best.row["name"], **_effects.effect(ours, best.answers, resamples=resamples)
            }  # fmt: skip
        except TonearmError as error:  # the same split, and not the same tracks: one of the runs is damaged
            one.row["marks"].append(f"not tested against the best: {error.message}")
            continue
        made.append(one.row["against_best"])
    _effects.corrected(made)


def _notes(rows: Sequence[Mapping[str, Any]], tests: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    if len(tests) > 1:
        notes.append(
            f"These runs were judged on {len(tests)} different tests ({_apart(tests)}): only rows of one test can be "
            "compared, and only they are."
        )
    for test in tests:
        count = sum(row["test"] == test["test"] for row in rows)
        if count > 2 and test["part"] == "test":
            notes.append(
                f"The best of {count} by their test figures owes something to chance: its figure is a little too "
                "good. Choose by validation, and look at the test part once."
            )
    if any(row["test"] and not row["sd_over_seeds"] and not row["folds"] for row in rows):
        notes.append("A row of one seed does not know how far another seed would move it; --seeds 3 tells.")
    return notes


def _apart(tests: Sequence[Mapping[str, Any]]) -> str:
    """In what the tests differ, in words."""
    words = {"data_hash": "", "data": "data", "split_hash": "splits", "part": "parts", "unit": "units"}
    return ", ".join(
        name for key, name in words.items() if name and len({str(test.get(key)) for test in tests}) > 1
    ) or "data"  # fmt: skip
