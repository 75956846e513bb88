"""How long a page takes to make and to open, and how large it is: made data of 8,000 tracks, and packs and runs given.

python benchmarks/reports.py --pack packs/fma-small-mel --run runs/first

A page counts as opened when it is read and laid out, by its own clock, so that the start of the browser does not
count. The work is the processor time of the whole browser for a screenshot of the page, less that for an empty page:
it says what a machine needs that has nothing else to do. Medians of three starts of headless Chromium.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run")  # fmt: skip
ASK = """<script>addEventListener('load', () => {
  document.body.getBoundingClientRect(); document.querySelectorAll('svg').forEach(svg => svg.getBBox());
  const p = document.createElement('pre'); p.id = 'opened'; p.textContent = performance.now(); document.body.append(p);
});</script>"""
N = 8000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, action="append", default=[])
    parser.add_argument("--run", type=Path, action="append", default=[])
    given = parser.parse_args()
    from tonearm.reports.dataset_page import dataset_page
    from tonearm.reports.run_page import run_page

    print(f"{'page':44s} {'made in':>9s} {'CPU':>8s} {'size':>9s} {'opens in':>9s} {'work':>9s}")
    with tempfile.TemporaryDirectory() as folder:
        pack, run = made(Path(folder))
        show(f"explore, made pack of {N:,} tracks", lambda: dataset_page(pack))
        show(f"report, made run judged on {N:,} tracks", lambda: run_page(run))
    for path in given.pack:
        show(f"explore, {path.name}", lambda path=path: dataset_page(path))
    for path in given.run:
        show(f"report, {path.parent.name}/{path.name}", lambda path=path: run_page(path))


def show(name: str, make: Callable[[], str]) -> None:
    began, cpu = time.monotonic(), time.process_time()
    page = make()
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    opened = "  no browser"
    if CHROMIUM:
        opened = f"{opens(page):7.2f} s {work(page) - work('<p>nothing'):7.2f} s"
    print(f"{name:44s} {seconds:7.1f} s {cpu:6.1f} s {len(page.encode()) / 2**20:6.2f} MB {opened}", flush=True)


def opens(page: str) -> float:
    """Seconds from the start of the navigation until all is read and laid out, the median of three."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</head>", ASK + "</head>")
    outs = [out for _, out in browsed(page, "--dump-dom")]
    return statistics.median(float(re.search(r'<pre id="opened">([\d.]+)', out)[1]) / 1000 for out in outs)


def work(page: str) -> float:
    """Processor seconds of the browser and its processes for a screenshot, the median of three."""
    return statistics.median(seconds for seconds, _ in browsed(page, "--screenshot=picture.png"))


def browsed(page: str, what: str) -> list[tuple[float, str]]:
    """Processor seconds and output of three starts of the browser with the page."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        for number in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            call = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}/profile-{number}", what, path.as_uri()]
            out = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=300).stdout
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out))
    return found


def made(folder: Path) -> tuple[Path, Path]:
    """A pack of 8,000 log-mel clips and a run that was judged on all of them, with answers from a seed."""
    from tonearm import evaluation, runs
    from tonearm.packs import write_pack
    from tonearm.recipes import get

    draw = np.random.default_rng(0)
    genres = [f"genre {i}" for i in range(8)]
    truth = np.arange(N) % 8
    values = draw.integers(0, 120, size=(N, 128, 128), dtype=np.uint8)
    values[np.arange(N), 16 * truth] += 100
    columns = {
        "id": [f"{i:06}" for i in range(N)],
        "genre": [genres[g] for g in truth],
        "artist": [str(i // 4) for i in range(N)],
        "artist_name": [f"The Band of Number {i // 4}" for i in range(N)],
        "title": [f"A song with a title, the {i}th" for i in range(N)],
    }
    feature = {"kind": "logmel", "sample_rate": 22050, "n_mels": 128, "frames": 128, "clip_seconds": 30.0}
    pack = write_pack(folder / "pack", values, columns, feature=feature, scale={"kind": "range", "low": -80, "high": 0},
                      axes=["track", "band", "frame"])  # fmt: skip
    scores = draw.normal(size=(N, 8)) + 1.2 * np.eye(8)[truth]
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    told = evaluation.checked_predictions(columns["id"], truth, shares, genres, groups=columns["artist"])
    out = folder / "run"
    import yaml

    runs.write_text(out / "recipe.yaml", yaml.safe_dump(get("baseline-lda").config()))
    runs.write_predictions(out / "predictions-tracks.csv", {"test": told})
    figures = {"test": {"tracks": evaluation.summary(told)}}
    runs.write_json(out / "metrics.json", {"chosen_on": None, "leaky": False, "adapted": [], "parts": figures})
    runs.write_json(out / "model" / "model.json", {
        "clip": {"frames": 128, "frame_rate": 4.27}, "model": {"kind": "lda"},
        "temperature": {"value": 1.0, "fitted_on": "valid", "n": 1},
    })  # fmt: skip
    about = {
        "recipe": "baseline-lda", "status": "finished", "seed": 0, "fold": 0, "protocol": "artist", "leaky": False,
        "leaks": [], "adapted": [], "quick": False, "parameters": None, "columns": 1010, "seconds": 1.0, "threads": 1,
        "data": {"name": "made", "source": str(pack.folder), "sha256": {}, "tracks": N, "classes": genres,
                 "feature": {"kind": "logmel"}},
        "split": {"name": "artist", "hash": "0" * 64, "sizes": {"test": N}}, "libraries": {},
        "code": {"tonearm": "", "commit": None}, "machine": {"processor": "", "cores": 1, "memory_gb": 1},
    }  # fmt: skip
    (out / "run.json").write_text(json.dumps(about), encoding="utf-8")
    return pack.folder, out


if __name__ == "__main__":
    main()
