"""The docs are tried: every `sh` and `python` block of README.md and docs/ runs, page by page, in an empty folder.

Blocks fenced as `console` or `text` show output or need what a test does not have (a network, a dataset of one's own)
and are not run; each `tonearm` command named in them must still exist.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tonearm.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# The two commands that build environments are what CI runs; they cannot run inside themselves.
SKIPPED_LINES = ("make ", "git clone", "cd tonearm", "pip install", "python3.11 -m venv", "python -m venv", "source ")


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """The commands of this very environment, with cache and data in the test's folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"TONEARM_CACHE": str(tmp_path / ".cache"), "TONEARM_DATA": str(tmp_path / ".data")}
    return {**os.environ, **own, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_work_in_an_empty_folder(page, tmp_path, environment):
    work = tmp_path / "work"
    work.mkdir()
    for language, text in blocks(page):
        if language == "sh":
            lines = [line for line in text.splitlines() if not line.strip().startswith(SKIPPED_LINES)]
            call = ["bash", "-euo", "pipefail", "-c", "\n".join(lines)]
        elif language == "python":
            call = [sys.executable, "-c", text]
        else:
            continue
        done = subprocess.run(call, cwd=work, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, f"{page.name}:\n{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_commands_that_exist(page):
    for _, text in blocks(page):
        for name in re.findall(r"^(?:\$ )?tonearm ([a-z][a-z-]*)", text, re.MULTILINE):
            assert name in COMMANDS, f"{page.name} names `tonearm {name}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
