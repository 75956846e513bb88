"""A whole clip in one row of hand-crafted numbers: the tables of FMA and of GTZAN."""

from __future__ import annotations

from typing import Any

import numpy as np

from tonearm.errors import UsageError
from tonearm.features import _fields, _fma_table, _gtzan_table
from tonearm.features._spectra import Spectra
from tonearm.features.base import Feature, feature


def _padding(value: Any) -> str | None:
    if value not in (None, "zero", "reflect"):
        raise _fields.Refused("zero, reflect or null")
    return value


@feature("statistics")
class Statistics(Feature):
    """One row of statistics over the frames of many features, shape (columns,).

    `table` "fma" has the 518 columns of FMA's features.csv: seven statistics of eleven features. `table` "gtzan" has
    the 57 of the GTZAN table that most tutorials use: means and variances of seven features and the tempo.

    Defferrard, Benzi, Vandergheynst & Bresson 2017, FMA: A dataset for music analysis.
    """

    axes = ("statistic",)
    has_batch = False

    table: str = _fields.choice("fma", "which table's columns", ("fma", "gtzan"))
    sample_rate_forgotten: bool = _fields.flag(
        False, "take 22,050 Hz for granted where FMA's authors did, whatever the rate: as in their features.csv"
    )
    padding: str | None = _fields.checked(
        None, "what lies outside the clip with table gtzan: reflect (null; as in the table) or zero", _padding
    )

    def check(self) -> None:
        if self.table == "gtzan" and self.sample_rate_forgotten:
            raise UsageError(
                "sample_rate_forgotten is a fault of FMA's table only", hint="leave it out, or table='fma'"
            )
        if self.table == "fma" and self.padding is not None:
            raise UsageError("padding is a choice of table 'gtzan' only", hint="leave it out, or table='gtzan'")
        if self.table == "fma" and self.sample_rate is not None:
            _fma_table.check_rate(self.sample_rate)

    def compute(self, spectra: Spectra) -> np.ndarray:
        if self.table == "fma":
            return _fma_table.compute(spectra, sample_rate_forgotten=self.sample_rate_forgotten)
        return _gtzan_table.compute(spectra, padding=self.padding or "reflect")

    def columns(self) -> list[str]:
        return _fma_table.columns() if self.table == "fma" else _gtzan_table.columns()
