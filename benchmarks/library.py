"""The library at size: 100,000 files listed and compared, 100,000 rows asked for everything.

    python benchmarks/library.py commands [--rows 100000] [--dimensions 512] [--json]
    python benchmarks/library.py listing [--files 100000] [--json]

`commands` times each command of `tonearm library` as a process, start-up included, on generated rows. `listing` makes
so many files and times scans in which nothing has changed. (Scans that are killed: benchmarks/kills.py.) Everything
lies in a temporary folder: TMPDIR says where. Some minutes, 1 GB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tonearm import library
from tonearm.library import listing, prints, scanning, sound

GENRES = ("Blues", "Classical", "Country", "Electronic", "Folk", "Hip-Hop", "Jazz", "Pop", "Rock")
TAGS = (*GENRES, "Indie Rock", "Bebop", "Techno", "Hip Hop", "Singer/Songwriter", "Électro", "Shoegaze")
WORDS = (
    "blue",
    "night",
    "river",
    "stone",
    "Été",
    "голубой",
    "moon",
    "fire",
    "home",
    "road",
    "light",
    "silver",
    "train",
)
BATCH = 5000


def fill(path: Path, rows: int, dimensions: int = 512, seed: int = 0) -> None:
    """A library of generated rows, as a scan of that many songs would leave it."""
    rng, chance = np.random.default_rng(seed), random.Random(seed)
    with library.open(path, create=True) as mine:
        with mine.write() as connection:
            connection.execute("INSERT INTO roots VALUES ('/music', 1700000000)")
            values = ("fma", "0123456789ab", "\n".join(GENRES), 1700000000)
            connection.execute("INSERT INTO models (name, version, genres, used_at) VALUES (?, ?, ?, ?)", values)
        for start in range(0, rows, BATCH):
            with mine.write() as connection:
                _fill_some(connection, range(start, min(start + BATCH, rows)), dimensions, rng, chance)
        with mine.write() as connection:
            pairs = [(i, i + 1, 0.8, 0.0) for i in range(2, rows - 1, 100)]
            connection.executemany("INSERT INTO copies VALUES (?, ?, ?, ?)", pairs)


def _fill_some(connection, numbers: range, dimensions: int, rng: np.random.Generator, chance: random.Random) -> None:
    shares = rng.dirichlet(np.full(len(GENRES), 0.3), len(numbers)).astype("<f4")
    vectors = rng.normal(size=(len(numbers), dimensions)).astype("<f2")
    codes = rng.integers(0, 1 << 23, (len(numbers), prints.KEPT), dtype=np.uint32).astype("<u4")
    for n, share, vector, code in zip(numbers, shares, vectors, codes, strict=True):
        id_ = n + 1
        digest = hashlib.sha256(b"%d" % (n if n % 500 else 0)).digest()
        connection.execute("INSERT OR IGNORE INTO contents (id, hash, seconds) VALUES (?, ?, ?)", (id_, digest, 200.0))
        content = connection.execute("SELECT id FROM contents WHERE hash = ?", (digest,)).fetchone()[0]
        failed, missing = "not-audio" if n % 97 == 5 else None, 1700000001 if n % 89 == 0 else None
        title, artist, album = (" ".join(chance.choices(WORDS, k=2)) for _ in range(3))
        tags = sound.Tags(title, artist, album, 1950 + n % 75, tuple(chance.sample(TAGS, chance.choice((0, 1, 1, 2)))))
        path = f"/music/{artist}/{album} {n % 1000}/{n:06d} {title}.flac"
        connection.execute(
            "INSERT INTO files (id, path, size, mtime_ns, device, inode, content_id, pending, missing_at, error_code, "
            "error_message, title, artist, album, year, genres, words, path_words, added_at, looked_at) "
            "VALUES (?, ?, ?, ?, 1, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1700000000, 1700000000)",
            (id_, path, 30_000_000 + n, n, id_, content, missing, failed, failed, *tags[:4], "\n".join(tags.genres),
             sound.words(tags), sound.folded(path)),
        )  # fmt: skip
        genres = [(each, id_) for each in sound.folded_genres(tags.genres)]
        connection.executemany("INSERT INTO file_genres VALUES (?, ?)", genres)
        if failed or content != id_:
            continue
        order = np.argsort(-share)[:3]
        listed = json.dumps([{"genre": GENRES[i], "probability": round(float(share[i]), 4)} for i in order])
        best = order[0]
        said = (GENRES[best], float(share[best]), bool(share[best] > 0.5), listed, None, share.tobytes(), 1700000000)
        connection.execute("INSERT INTO predictions VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?)", (id_, *said))
        connection.execute("INSERT INTO vectors VALUES (1, 'embedding', ?, ?)", (id_, vector.tobytes()))
        stored = code.tobytes() + np.zeros(prints.KEPT, "<u2").tobytes()
        connection.execute("INSERT INTO sketches VALUES (?, ?)", (id_, stored))
        keys = {(int(key), id_) for key in code[: prints.KEYS]}
        connection.executemany("INSERT INTO sketch_keys VALUES (?, ?)", keys)


def commands(path: Path) -> dict[str, list[str]]:
    """Every command of `tonearm library`, and the queries that have most to do."""
    with library.open(path) as mine:
        song = next(mine.files("is:predicted", limit=1))["path"]
    out = str(path.parent / "out")
    return {
        "list": ["list"],
        "list --json": ["list", "--json"],
        "list genre, confidence": ["list", "genre:jazz", "confidence:0.8..", "--json"],
        "list artist, year": ["list", "artist:silver", "year:1960..1969", "--json"],
        "list tag, path": ["list", "tag:rock", "path:/music/moon river", "--json"],
        "list is:disagree": ["list", "is:disagree", "--json"],
        "list is:error": ["list", "is:error", "--json"],
        "list is:missing": ["list", "is:missing", "--json"],
        "list by confidence": ["list", "--by", "confidence", "--json"],
        "list all": ["list", "--limit", "0", "--json"],
        "search": ["search", "blue", "голубой", "--json"],
        "search nothing": ["search", "no song has this"],
        "stats": ["stats", "--json"],
        "similar": ["similar", song, "--json"],
        "duplicates": ["duplicates", "--json"],
        "export csv": ["export", "-o", f"{out}.csv"],
        "export json": ["export", "-o", f"{out}.json"],
        "export parquet": ["export", "-o", f"{out}.parquet"],
        "export m3u8": ["export", "-o", f"{out}.m3u8"],
        "export --per-genre": ["export", "--per-genre", "-o", out],
        "export a query": ["export", "genre:jazz", "is:sure", "-o", f"{out}.m3u8"],
        "forget": ["forget", "is:missing"],
    }


def time_commands(folder: Path, rows: int, dimensions: int) -> dict[str, object]:
    path = folder / "library.sqlite"
    began = time.monotonic()
    if not path.exists():
        fill(path, rows, dimensions)
    result: dict[str, object] = {"rows": rows, "bytes": path.stat().st_size, "filled_seconds": time.monotonic() - began}
    environment = {**os.environ, "TONEARM_LIBRARY": str(path), "TONEARM_CACHE": str(folder / "cache")}
    times = {}
    for name, arguments in commands(path).items():
        call = [sys.executable, "-m", "tonearm", "library", *arguments]
        taken, cpu = [], []
        for _ in range(1 if arguments[0] == "forget" else 3):
            before, began = os.times(), time.monotonic()
            subprocess.run(call, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            taken.append(time.monotonic() - began)
            after = os.times()
            cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)
        times[name] = {"seconds": min(taken), "cpu_seconds": min(cpu)}
        print(f"{name:24} {min(taken):.2f} s, CPU {min(cpu):.2f} s", file=sys.stderr)
    result["commands"] = times
    return result


def time_listing(folder: Path, files: int) -> dict[str, object]:
    """Scans of `files` files of which none is new: their rows are there as if an earlier scan had heard them."""
    music = folder / "music"
    for number in range(files):
        here = music / f"{number // 1000:03d}" / f"{number // 12 % 84:02d}"
        if number % 12 == 0 or number % 1000 == 0:
            here.mkdir(parents=True, exist_ok=True)
        (here / f"{number:06d} song.flac").write_bytes(b"")
    path = folder / "library.sqlite"
    began = time.monotonic()
    with library.open(path, create=True) as mine:
        roots = [str(music)]
        here = scanning.folders.walk(roots)
        listing.apply(mine, here, listing.compare({}, here, roots))
        rows = mine.read("SELECT id, path FROM files")
        values = [(*here.files[file], id_) for id_, file in rows]
        sql = "UPDATE files SET pending = 0, size = ?, mtime_ns = ?, device = ?, inode = ? WHERE id = ?"
        mine.write_many(sql, values)
    result = {"files": len(rows), "first_listing_seconds": time.monotonic() - began}
    call = [sys.executable, "-m", "tonearm", "scan", str(music), "--library", str(path), "--no-predict", "--json"]
    for name in ("unchanged_seconds", "unchanged_again_seconds"):
        began = time.monotonic()
        report = json.loads(subprocess.run(call, check=True, capture_output=True).stdout)
        result[name] = time.monotonic() - began
        assert report["unchanged"] == len(rows), report
    os.rename(music / "000", music / "moved")
    began = time.monotonic()
    report = json.loads(subprocess.run(call, check=True, capture_output=True).stdout)
    result["a_folder_renamed_seconds"], result["moved"] = time.monotonic() - began, report["moved"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("commands", "listing"))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument(
        "--keep", type=Path, help="With `commands`: make the library here, or use the one that is here."
    )
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "commands":
            result = time_commands(arguments.keep or Path(folder), arguments.rows, arguments.dimensions)
        else:
            result = time_listing(Path(folder), arguments.files)
    if arguments.json:
        print(json.dumps(result))
    elif arguments.what != "commands":
        print("\n".join(f"{name:26} {value:.2f}" if isinstance(value, float) else f"{name:26} {value}"
                        for name, value in result.items()))  # fmt: skip


if __name__ == "__main__":
    main()
