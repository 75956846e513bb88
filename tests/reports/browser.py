"""Headless Chromium by its command line: what a page holds after its script ran. No driver is needed for that."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--virtual-time-budget=60000")  # fmt: skip


def chromium() -> str:
    found = os.environ.get("TONEARM_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no Chromium here (set TONEARM_CHROMIUM)")
    return found


def axe() -> str:
    """The source of axe-core, from TONEARM_AXE or a node_modules beside or above the tests."""
    places = [Path(os.environ["TONEARM_AXE"])] if os.environ.get("TONEARM_AXE") else []
    places += [folder / "node_modules" / "axe-core" / "axe.min.js" for folder in Path(__file__).resolve().parents]
    for place in places:
        if place.is_file():
            return place.read_text(encoding="utf-8")
    pytest.skip("axe-core is not here (npm install axe-core, and set TONEARM_AXE to its axe.min.js)")


def after(page: str, script: str, folder: Path, *, width: int = 1280, dark: bool = False) -> str:
    """What `script` wrote with `tell(text)`, run after the page's own script; the page's policy is taken off for it."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("<details", "<details open")
    tell = (
        "const tell = text => { const p = document.createElement('pre'); p.id = 'told'; p.textContent = text; "
        "document.body.append(p); };"
    )
    path = folder / "page.html"
    path.write_text(page.replace("</body>", f"<script>{tell}{script}</script></body>"), encoding="utf-8")
    more = ["--blink-settings=preferredColorScheme=0"] if dark else []
    more += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900", "--dump-dom", path.as_uri()]
    call = [chromium(), *FLAGS, *more]
    done = subprocess.run(call, capture_output=True, text=True, timeout=200)
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the script told nothing: {done.stderr[-500:]}"
    return re.sub(r"&(lt|gt|amp|quot);", lambda m: {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}[m[1]], found[1])
