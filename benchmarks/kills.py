"""kill -9 at random moments of apply, undo and scan: is anything lost?

    python benchmarks/kills.py                          # fifty kills of each, on files it makes itself
    python benchmarks/kills.py apply --kills 200 --data FOLDER --seed 3

When a process is killed is drawn by how far it has come (bytes of its journal, rows of its library), not by the clock:
so a machine that does other work too changes nothing, and every kill meets the work. The last bit, up to the time that
one file takes, is drawn by the clock, so that each moment within a file has its turn.

A collection of every format that can be written here; every fourth file has a second name (a hard link), every
seventh is reached by a symbolic link. After each kill of `tonearm tag apply` or `undo`, each file must be what it was
or what it was to become (one with several names is written in place, and may be between the two), and `tonearm tag
undo` must give back every file to the byte, its time included, with nothing left lying about. After each kill of
`tonearm scan` the database must pass its integrity check and hold what it held; the scan is then gone on with until it
is done, and must say what a scan says that nobody disturbed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import songs

GENRES = ["Électronique", "Hip-Hop"]


class Lost(Exception):
    """Something is not as it has to be."""


class Room:
    """A folder with music, a plan for it, and tonearm's own data, all to be thrown away."""

    def __init__(self, folder: Path, count: int, data: str | None) -> None:
        self.folder, self.music = folder, folder / "music"
        self.environment = {**os.environ, "TONEARM_DATA": str(folder / "data"), "OMP_NUM_THREADS": "1"}
        self.paths = songs.collection(self.music, count, data)
        self.linked = set(self.paths[::4])
        (folder / "names").mkdir()
        for path in self.linked:
            os.link(path, folder / "names" / path.name)
        named = [str(path) for path in self.paths]
        for n in range(1, len(self.paths), 7):
            link = folder / "names" / f"link {n}{self.paths[n].suffix}"
            link.symlink_to(self.paths[n])
            named[n] = str(link)
        listed = [{"genre": genre, "probability": 0.9} for genre in GENRES]
        lines = [json.dumps({"path": path, "sure": True, "genres": listed}) for path in named]
        (folder / "predictions.jsonl").write_text("\n".join(lines))
        self.plan = folder / "plan.json"
        self.tonearm("tag", "plan", "--from", folder / "predictions.jsonl", "-o", self.plan)

    def call(self, *arguments: Any) -> list[str]:
        return [sys.executable, "-m", "tonearm", *map(str, arguments)]

    def tonearm(self, *arguments: Any) -> dict[str, Any]:
        done = subprocess.run(self.call(*arguments, "--json"), env=self.environment, capture_output=True, text=True)
        if done.returncode not in (0, 1) or "Traceback" in done.stderr:
            raise Lost(f"tonearm {' '.join(map(str, arguments))}: {done.stderr}")
        return json.loads(done.stdout)

    def state(self) -> dict[str, tuple]:
        """Content, time and number of names of each file."""
        found = {}
        for path in sorted(self.music.iterdir()):
            status = path.stat()
            found[path.name] = (digest(path), status.st_mtime_ns, status.st_nlink)
        return found

    def killed(self, arguments: list[Any], far_enough: Callable[[], bool], seconds: float) -> bool:
        """Start, wait until it has come so far and `seconds` longer, kill; True where it was still at it."""
        process = subprocess.Popen(
            self.call(*arguments), env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        while process.poll() is None and not far_enough():
            time.sleep(0.001)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # its worker processes too
        return process.wait() == -signal.SIGKILL

    def written(self) -> int:
        """Bytes of all journals."""
        return sum(path.stat().st_size for path in (self.folder / "data" / "journals").glob("*.journal"))

    def taken(self, arguments: list[Any]) -> float:
        begin = time.monotonic()
        subprocess.run(self.call(*arguments), env=self.environment, capture_output=True)
        return time.monotonic() - begin


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def undo_all(room: Room) -> None:
    while (told := room.tonearm("tag", "undo"))["journal"] is not None:
        if told["skipped"]:
            raise Lost(f"undo left something: {told['skipped']}")


def at_work(room: Room, step: str) -> bool:
    """Whether the latest journal breaks off in the middle of an apply or undo."""
    journals = sorted((room.folder / "data" / "journals").glob("*.journal"))
    last = journals[-1].read_bytes().rstrip(b"\n").rpartition(b"\n")[2] if journals else b""
    return b'"start"' in last or b'"ready"' in last or b'"done"' in last if step == "apply" else b'"undo"' in last


def tagging(room: Room, step: str, kills: int, chance: random.Random) -> str:
    """Kill apply, or undo, so many times."""
    first, nothing = room.state(), room.written()
    whole = room.taken(["tag", "apply", room.plan])
    second, applied = room.state(), room.written()
    idle = room.taken(["tag", "history"])
    back = room.taken(["tag", "undo"])
    undone = room.written()
    check(room, first, "an undo that nobody disturbed")
    if sum(first[name][0] != second[name][0] for name in first) != len(first):
        raise Lost("apply did not write every file")
    length = applied - nothing if step == "apply" else undone - applied
    one = max(0.0, (whole if step == "apply" else back) - idle) / len(room.paths)
    met = torn = tries = 0
    while met < kills:
        tries += 1
        if tries > 4 * kills:
            raise Lost("hardly any kill meets the work: too few files")
        if step == "undo":
            room.tonearm("tag", "apply", room.plan)
        target = room.written() + chance.randint(1, length)
        arguments = ["tag", step, *([room.plan] if step == "apply" else [])]
        alive = room.killed(arguments, lambda target=target: room.written() >= target, chance.uniform(0, one))
        for path in room.paths:
            now = digest(path)
            if now not in (first[path.name][0], second[path.name][0]):
                if path not in room.linked:
                    raise Lost(f"{path.name} is neither old nor new")
                torn += 1
        if alive and at_work(room, step):
            met += 1
            show(f"{step}: {met} of {kills} kills met the work")
        undo_all(room)
        check(room, first, f"kill {tries} of {step}")
    return f"{step}: {met} kills met the work ({tries} tried), {torn} files were between old and new; all came back"


def check(room: Room, first: dict[str, tuple], when: str) -> None:
    now = room.state()
    if now != first:
        names = [(name, first.get(name), now.get(name)) for name in {*now, *first} if now.get(name) != first.get(name)]
        raise Lost(f"after {when} these are not as they were: {names}")
    if left := list(room.folder.rglob(".tonearm-*")):
        raise Lost(f"after {when} this lies about: {left}")


def scanning(room: Room, model: str, kills: int, chance: random.Random) -> str:
    """Kill scans, go on with them, until there were so many kills; each library is brought to its end."""
    calm = room.folder / "calm.sqlite"
    one = room.taken(["scan", room.music, "--library", calm, "--model", model]) / len(room.paths)
    wanted = rows(calm)
    if len(wanted) != len(room.paths):
        raise Lost(f"a scan knows {len(wanted)} of {len(room.paths)} files")
    total = predicted(calm)
    met, number = 0, 0
    while met < kills:
        number += 1
        path = room.folder / f"killed-{number}.sqlite"
        arguments = ["scan", room.music, "--library", path, "--model", model]
        known: set[Any] = set()
        while True:
            target = chance.randint(len(known), total)  # from the first moment on; with all of them it may end
            if not room.killed(arguments, partial(come_to, path, target), chance.uniform(0, one)):
                break
            met += 1
            show(f"scan: {met} of {kills} kills met the work")
            known_now = heard(path)
            if known - known_now:
                raise Lost(f"what was heard before kill {met} of scan is gone")
            known = known_now
            if met >= kills:
                room.taken(arguments)
                break
        if (now := rows(path)) != wanted:
            differ = [row for row in now if row not in wanted] or [row for row in wanted if row not in now]
            raise Lost(f"a scan that was killed says something else than one that was not: {differ[:3]}")
    return f"scan: {met} kills, {number} libraries brought to their end; whole each time, nothing lost"


def predicted(path: Path) -> int:
    """How many sounds a library that somebody is writing to has predictions of."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM predictions").fetchone()[0]
    return -1  # not there yet


def come_to(path: Path, target: int) -> bool:
    return predicted(path) >= target


def heard(path: Path) -> set[Any]:
    """What is predicted in a library, after its integrity check."""
    if not path.exists():
        return set()
    with sqlite3.connect(path) as connection:
        told = connection.execute("PRAGMA integrity_check").fetchall()
        if told != [("ok",)]:
            raise Lost(f"the database is damaged: {told}")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone():
            return set()
        return set(
            connection.execute("SELECT hex(c.hash), p.genre FROM predictions p JOIN contents c ON c.id = content_id")
        )


def rows(path: Path) -> list[tuple]:
    heard(path)
    with sqlite3.connect(path) as connection:
        return connection.execute(
            "SELECT f.path, f.error_code, p.genre, p.probability FROM files f "
            "LEFT JOIN predictions p ON p.content_id = f.content_id ORDER BY f.path"
        ).fetchall()


def show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["apply", "undo", "scan"], help="apply, undo, scan")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--files", type=int, default=36)
    parser.add_argument("--data", help="a folder of songs to make the collection from")
    parser.add_argument("--model", default="fma", help="for scan")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tonearm-kills-") as folder:
        room = Room(Path(folder), options.files, options.data)
        for what in options.what:
            chance = random.Random(f"{options.seed} {what}")
            try:
                if what == "scan":
                    told = scanning(room, options.model, options.kills, chance)
                else:
                    told = tagging(room, what, options.kills, chance)
            except Lost as lost:
                sys.exit(f"LOST: {lost}")
            print(told, flush=True)


if __name__ == "__main__":
    main()
