"""How a training goes, on standard error and in curves.csv, epoch by epoch."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tonearm import runs
from tonearm.packs._progress import clock
from tonearm.recipes._schema import Recipe


class Progress:
    """One line that renews itself on a terminal, a plain line now and then elsewhere; the curves grow on disk."""

    def __init__(self, recipe: Recipe, folder: Path, *, quiet: bool) -> None:
        self.epochs = int(recipe.training.get("epochs", 50))
        self.path, self.quiet, self.name = folder / "curves.csv", quiet, recipe.name
        self.rows = runs.read_curves(folder)
        self.seconds_before = sum(row.get("seconds", 0.0) for row in self.rows)
        self.terminal = sys.stderr.isatty()
        self.next = 0.0
        self.written = False

    def epoch(self, row: dict[str, float]) -> None:
        """Called by the loop after each epoch."""
        # A run that was killed may have written a row whose checkpoint it did not reach any more.
        self.rows = [old for old in self.rows if old["epoch"] < row["epoch"]] + [row]
        runs.write_curves(self.path, self.rows)
        now = time.monotonic()
        last = row["epoch"] == self.epochs
        if self.quiet or (now < self.next and not last):
            return
        self.next = now + (0.2 if self.terminal else 10.0)
        left = clock((self.epochs - row["epoch"]) * sum(r["seconds"] for r in self.rows) / len(self.rows))
        line = (
            f"{self.name}: epoch {row['epoch']}/{self.epochs}, loss {row['train_loss']:.3f}, "
            f"validation loss {row['valid_loss']:.3f}, accuracy {row['valid_accuracy']:.3f}, "
            f"rate {row['learning_rate']:.2g}, {row['seconds']:.1f} s, at most {left} left"
        )
        sys.stderr.write(f"\r\x1b[K{line}" if self.terminal else f"{line}\n")
        sys.stderr.flush()
        self.written = True

    def close(self) -> None:
        if self.terminal and self.written:
            sys.stderr.write("\n")
