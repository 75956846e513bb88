"""How a training goes: on standard error, in curves.csv, and for TensorBoard where that is installed."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tonearm import runs
from tonearm.packs._progress import clock
from tonearm.recipes._schema import Recipe

BLOCKS = "▁▂▃▄▅▆▇█"
CURVES = (
    ("loss", "train_loss"),
    ("validation loss", "valid_loss"),
    ("accuracy", "train_accuracy"),
    ("validation accuracy", "valid_accuracy"),
)
WIDTH = 32


class Progress:
    """Curves that grow on a terminal, a plain line now and then elsewhere; the same on disk, always."""

    def __init__(self, recipe: Recipe, folder: Path, *, quiet: bool) -> None:
        self.epochs = int(recipe.training.get("epochs", 50))
        self.folder, self.quiet, self.name = folder, quiet, recipe.name
        self.rows = runs.read_curves(folder)
        self.seconds_before = sum(row.get("seconds", 0.0) for row in self.rows)
        self.terminal = sys.stderr.isatty() and not quiet
        self.next = 0.0
        self.live: Any = None
        self.board: Any = None
        self.at = (0, 0, 0.0)

    def step(self, number: int, of: int, loss: float) -> None:
        """Called by the loop after each batch."""
        self.at = (number, of, loss)
        if self.terminal and time.monotonic() >= self.next:
            self._show()

    def epoch(self, row: dict[str, float]) -> None:
        """Called by the loop after each epoch."""
        # A run that was killed may have written a row whose checkpoint it did not reach any more.
        self.rows = [old for old in self.rows if _place(old) < _place(row)] + [row]
        runs.write_curves(self.folder / "curves.csv", self.rows)
        self._tensorboard(row)
        self.at = (0, 0, 0.0)
        if self.terminal:
            self._show()
        elif not self.quiet and (time.monotonic() >= self.next or row["epoch"] == self.epochs):
            self.next = time.monotonic() + 10.0
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """Where it stands, in one line."""
        row = self.rows[-1]
        stage = f"stage {row['stage']:.0f}, " if "stage" in row else ""
        return (
            f"{self.name}: {stage}epoch {row['epoch']:.0f}/{self.epochs}, loss {row['train_loss']:.3f}, "
            f"validation loss {row['valid_loss']:.3f}, accuracy {row['valid_accuracy']:.3f}, "
            f"rate {row['learning_rate']:.2g}, {row['seconds']:.1f} s, at most {self._left()} left"
        )

    def screen(self) -> list[str]:
        """The curves so far, a line each, and where it stands."""
        lines = []
        for title, name in CURVES:
            values = [row[name] for row in self.rows if name in row]
            if values:
                best = min(values) if "loss" in name else max(values)
                lines.append(f"{title:>19} {values[-1]:7.3f}  {curve(values):<{WIDTH}}  best {best:.3f}")
        number, of, loss = self.at
        batch = f"batch {number}/{of}, loss {loss:.3f}" if of else ""
        if not self.rows:
            return [f"{self.name}: epoch 1/{self.epochs}, {batch}"]
        row = self.rows[-1]
        return [
            *lines,
            f"{self.name}: epoch {row['epoch']:.0f}/{self.epochs}, rate {row['learning_rate']:.2g}, "
            f"{row['seconds']:.1f} s each, at most {self._left()} left" + (f"; {batch}" if batch else ""),
        ]

    def close(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None
        if self.board is not None:
            self.board.close()
            self.board = None

    def _left(self) -> str:
        return clock((self.epochs - self.rows[-1]["epoch"]) * sum(r["seconds"] for r in self.rows) / len(self.rows))

    def _show(self) -> None:
        self.next = time.monotonic() + 0.2
        if self.live is None:
            from rich.console import Console
            from rich.live import Live

            self.live = Live(console=Console(stderr=True, highlight=False), auto_refresh=False)
            self.live.start()
        from rich.text import Text

        self.live.update(Text("\n".join(self.screen()), no_wrap=True, overflow="ellipsis"), refresh=True)

    def _tensorboard(self, row: Mapping[str, float]) -> None:
        """The row for TensorBoard, in the run's folder, where somebody installed it; nothing depends on it."""
        if self.board is None:
            if importlib.util.find_spec("tensorboard") is None:
                return
            from torch.utils.tensorboard import SummaryWriter

            # What a killed run wrote of epochs that are done again is taken back.
            self.board = SummaryWriter(self.folder / "tensorboard", purge_step=len(self.rows))
        for name, value in row.items():
            if name not in ("epoch", "stage"):
                self.board.add_scalar(name, value, len(self.rows))
        self.board.flush()


def curve(values: Sequence[float]) -> str:
    """Values as blocks of eight heights, the lowest to the highest; means of neighbours where they are many."""
    if len(values) > WIDTH:
        edges = [round(i * len(values) / WIDTH) for i in range(WIDTH + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(values), max(values)
    if high <= low:
        return BLOCKS[3] * len(values)
    return "".join(BLOCKS[min(7, int(8 * (value - low) / (high - low)))] for value in values)


def _place(row: Mapping[str, float]) -> tuple[float, float]:
    """Which row comes first: by stage where a recipe has several, then by epoch."""
    return row.get("stage", 1), row["epoch"]
