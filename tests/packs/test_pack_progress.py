"""Progress: a line that renews itself for people, few plain lines for logs, nothing when quiet."""

from __future__ import annotations

import pytest

from tonearm.packs import _progress
from tonearm.packs._progress import Progress, clock


@pytest.fixture
def time(monkeypatch):
    """A clock that the test moves."""

    class Time:
        now = 100.0

    monkeypatch.setattr(_progress.time, "monotonic", lambda: Time.now)
    return Time


def run(time, steps: int, seconds_each: float, **keywords) -> None:
    progress = Progress(steps, "tracks", **keywords)
    for step in range(steps - progress.already):
        time.now += seconds_each
        progress.step(failed=step % 100 == 99)
    progress.close()


def test_a_log_gets_plain_lines_with_rate_and_time_left(time, capsys):
    run(time, 1000, 0.125)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "40/1000 tracks, 8.0/s, 2:00 left"
    assert lines[2] == "120/1000 tracks, 8.0/s, 1:50 left, 1 failed"
    assert 10 <= len(lines) <= 20


def test_a_day_in_a_log_is_some_hundred_lines(time, capsys):
    run(time, 50_000, 2.0)
    assert len(capsys.readouterr().err.splitlines()) < 200


def test_the_rate_counts_what_is_done_now_and_not_what_was_there(time, capsys):
    run(time, 1000, 1.0, done=900)
    assert capsys.readouterr().err.splitlines()[0] == "905/1000 tracks, 1.0/s, 1:35 left"


def test_a_terminal_gets_one_line(time, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    run(time, 30, 0.3)
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert text.endswith("30/30 tracks, 3.3/s, 0:00 left\n")


def test_quiet_is_quiet(time, capsys):
    run(time, 100, 10.0, quiet=True)
    assert capsys.readouterr().err == ""


def test_clock():
    assert [clock(s) for s in (0, 59.6, 61, 3600, 90061)] == ["0:00", "1:00", "1:01", "1:00:00", "25:01:01"]
