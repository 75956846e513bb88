"""Rows of CSV come back as they went out, whatever a name holds."""

from __future__ import annotations

import csv
import io

import pytest

from tonearm import _csv
from tonearm.packs import _write

ODD = ["plain", "", 'quo"te', "com,ma", "new\nline", "carriage\rreturn", "both\r\n", "\r", "ends\r\n\r\n", "é 🎶"]


def test_every_cell_comes_back_and_lines_end_in_newlines():
    rows = [[name, str(number)] for number, name in enumerate(ODD)]
    text = "".join(_csv.lines(rows))
    assert list(csv.reader(io.StringIO(text, newline=""))) == rows
    assert list(_csv.lines([["a", 1, 2.5, None]])) == ["a,1,2.5,\n"]
    assert list(_csv.lines([])) == []


@pytest.mark.parametrize("name", ["plain", "carriage\rreturn", "new\nline"])
def test_a_table_of_a_pack_holds_any_name(name, tmp_path):
    path = tmp_path / "tracks.csv"
    _write.write_table(path, {"id": [name, "b"], "genre": ["x", "y"]})
    with open(path, encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [name, "b"]
