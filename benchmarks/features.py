"""What features cost, side by side with librosa.

    python benchmarks/features.py                     # all of it, on music it makes itself
    python benchmarks/features.py logmel --data DIR   # only one comparison, on the files in a folder

Four comparisons, each of whole processes from a cold start or in one process, always in turns (A B A B ...), so that
what else the machine does meets both sides: `logmel` (a pack of log-mel of many MP3s against a loop of librosa with a
pool of two), `statistics` (the 518 of FMA against librosa feature by feature, and sharing STFT and CQT), `kinds`
(every feature in one process), `version` (`tonearm --version` against `python -c "import numpy"`).
CPU is user and system time of a process and all below it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before numpy is imported, here and in every child: work is spread over files, not over the threads of one product.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))
# What is installed has its bytecode beside it; a checkout that may not write it would be compiled at every start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np  # noqa: E402

RATE, SECONDS = 22050, 30.0
ENDINGS = {".mp3", ".flac", ".wav", ".ogg", ".opus", ".aiff", ".au"}

LOGMEL_PEER = """
import sys
from multiprocessing import Pool
import librosa
import numpy as np

def logmel(path):
    # A second more than is wanted: librosa's resampling has an edge where its decoding stopped.
    y, sr = librosa.load(path, sr=22050, duration=31.0)
    y = y[: 30 * sr]
    return librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr, n_mels=128), ref=np.max)

if __name__ == "__main__":
    out, *paths = sys.argv[1:]
    with Pool(2) as pool:
        found = pool.map(logmel, paths, chunksize=1)
    np.savez(out, *found)
"""

STATISTICS_PEER = '''
import sys
import librosa
import numpy as np
import scipy.stats
F = librosa.feature

def seven(values):
    return [scipy.stats.kurtosis(values, axis=1), values.max(1), values.mean(1), np.median(values, 1), values.min(1),
            scipy.stats.skew(values, axis=1), values.std(1)]

def shared(y, sr):
    """As FMA's authors: one CQT and one STFT for all, but with the rate named everywhere."""
    cqt = np.abs(librosa.cqt(y, sr=sr, hop_length=512, bins_per_octave=12, n_bins=84, tuning=None))
    octaves = dict(n_chroma=12, n_octaves=7, bins_per_octave=12)
    cens = F.chroma_cens(C=cqt, **octaves)
    stft = np.abs(librosa.stft(y))
    mel = F.melspectrogram(sr=sr, S=stft**2)
    return {
        "chroma_cens": cens, "chroma_cqt": F.chroma_cqt(C=cqt, **octaves),
        "chroma_stft": F.chroma_stft(sr=sr, S=stft**2), "mfcc": F.mfcc(S=librosa.power_to_db(mel), n_mfcc=20),
        "rmse": F.rms(S=stft), "spectral_bandwidth": F.spectral_bandwidth(sr=sr, S=stft),
        "spectral_centroid": F.spectral_centroid(sr=sr, S=stft),
        "spectral_contrast": F.spectral_contrast(sr=sr, S=stft, n_bands=6),
        "spectral_rolloff": F.spectral_rolloff(sr=sr, S=stft), "tonnetz": F.tonnetz(chroma=cens, sr=sr),
        "zcr": F.zero_crossing_rate(y, frame_length=2048, hop_length=512),
    }

def one_by_one(y, sr):
    """Each feature by its own call. RMS is then of the samples without a taper: 7 of the 518 differ for that."""
    octaves = dict(n_chroma=12, n_octaves=7, bins_per_octave=12)
    return {
        "chroma_cens": F.chroma_cens(y=y, sr=sr, **octaves), "chroma_cqt": F.chroma_cqt(y=y, sr=sr, **octaves),
        "chroma_stft": F.chroma_stft(y=y, sr=sr), "mfcc": F.mfcc(y=y, sr=sr, n_mfcc=20), "rmse": F.rms(y=y),
        "spectral_bandwidth": F.spectral_bandwidth(y=y, sr=sr), "spectral_centroid": F.spectral_centroid(y=y, sr=sr),
        "spectral_contrast": F.spectral_contrast(y=y, sr=sr), "spectral_rolloff": F.spectral_rolloff(y=y, sr=sr),
        "tonnetz": F.tonnetz(chroma=F.chroma_cens(y=y, sr=sr, **octaves), sr=sr), "zcr": F.zero_crossing_rate(y),
    }

out, way, rate, *paths = sys.argv[1:]
rows = []
for path in paths:
    y, sr = librosa.load(path, sr=int(rate), duration=31.0)
    y = y[: 30 * sr]
    found = {"shared": shared, "one_by_one": one_by_one}[way](y, sr)
    rows.append(np.concatenate([part for name in found for part in seven(found[name])]))
np.save(out, np.stack(rows))
'''


def run(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process and all it started and waited for."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:6])} ...: exit code {process.returncode}\n{errors.decode()[-3000:]}")
    return used.ru_utime + used.ru_stime, wall


def in_turns(ours: Callable[[], list[str]], peer: Callable[[], list[str]], repeats: int) -> dict[str, Any]:
    """Whole processes in turns; a first turn of both is not counted (files into the cache, bytecode onto the disk)."""
    run(ours()), run(peer())
    turns = [(run(ours()), run(peer())) for _ in range(repeats)]
    return {
        unit: summary([turn[0][index] for turn in turns], [turn[1][index] for turn in turns])
        for index, unit in enumerate(("cpu_seconds", "wall_seconds"))
    }


def summary(ours: list[float], peer: list[float]) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(ours, peer, strict=True)]
    return {
        "ours": statistics.median(ours),
        "peer": statistics.median(peer),
        "ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
    }


def music(folder: Path, data: Path | None, count: int) -> list[Path]:
    """`count` files in one genre folder: copies of those in `data` in turns, or stereo MP3s made here."""
    target = folder / "music" / "any"
    target.mkdir(parents=True)
    if data is not None:
        found = sorted(path for path in data.rglob("*") if path.suffix.lower() in ENDINGS)
        if not found:
            raise SystemExit(f"{data}: no music in it")
    else:
        found = [synthesise(folder / f"made{number}.mp3", number) for number in range(min(count, 10))]
    paths = []
    for number in range(count):
        source = found[number % len(found)]
        paths.append(Path(shutil.copyfile(source, target / f"{number:04d}{source.suffix.lower()}")))
    return paths


def synthesise(path: Path, seed: int) -> Path:
    """30 s of chords, noise bursts and a beat, as MP3 of 44.1 kHz stereo."""
    import soundfile

    rng = np.random.default_rng(seed)
    rate = 44100
    seconds = np.arange(int(rate * SECONDS)) / rate
    sound = np.zeros((len(seconds), 2))
    for start in np.arange(0, SECONDS, 2.0):
        here = (seconds >= start) & (seconds < start + 2.0)
        for note in rng.choice(36, 4, replace=False) + 40:
            tone = np.sign(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * seconds[here])) * 0.06
            sound[here] += tone[:, None] * rng.uniform(0.3, 1, 2)
    beat = np.exp(-30 * (seconds % (60 / rng.uniform(80, 160))))
    sound += beat[:, None] * rng.standard_normal(sound.shape) * 0.15
    soundfile.write(path, np.clip(sound, -1, 1), rate, format="MP3", subtype="MPEG_LAYER_III")
    return path


def build(folder: Path, pack: Path, *options: str) -> list[str]:
    shutil.rmtree(pack, ignore_errors=True)
    command = [sys.executable, "-m", "tonearm", "pack", "build", f"folder:{folder}", "-o", str(pack), "--quiet"]
    return [*command, "--clip-seconds", f"{SECONDS:g}", *options]


def compare_logmel(room: Path, paths: list[Path], repeats: int) -> dict[str, Any]:
    """A pack of log-mel of all files against librosa with a pool of two."""
    pack, script, out = room / "pack", room / "logmel_peer.py", room / "peer.npz"
    script.write_text(LOGMEL_PEER, encoding="utf-8")
    result = in_turns(
        lambda: build(room / "music", pack, "--feature", "logmel", "--workers", "2"),
        lambda: [sys.executable, str(script), str(out), *map(str, paths)],
        repeats,
    )
    rows = _rows(pack)
    with np.load(out) as peer:
        result["largest_difference_db"] = max(
            float(np.abs(rows[path.stem][:, : found.shape[1]] - found).max())
            for path, found in zip(paths, (peer[name] for name in peer.files), strict=True)
        )
    result["files"] = len(paths)
    return result


def _rows(pack: Path) -> dict[str, np.ndarray]:
    from tonearm import packs

    opened = packs.open_pack(pack)
    return {Path(name).stem: opened.features[row] for row, name in enumerate(opened.ids)}


def compare_statistics(room: Path, paths: list[Path], repeats: int) -> dict[str, Any]:
    """The 518 of FMA at two rates, one process each, against two ways of calling librosa."""
    pack, script, out = room / "pack518", room / "statistics_peer.py", room / "peer.npy"
    script.write_text(STATISTICS_PEER, encoding="utf-8")
    results = {}
    for rate in (RATE, 44100):
        for way in ("one_by_one", "shared"):
            settings = ("--feature", "statistics", "--set", f"sample_rate={rate}", "--workers", "1")
            result = in_turns(
                lambda settings=settings: build(room / "music", pack, *settings),
                lambda way=way, rate=rate: [sys.executable, str(script), str(out), way, str(rate), *map(str, paths)],
                repeats,
            )
            rows = _rows(pack)
            ours = np.stack([rows[path.stem] for path in paths]).astype(np.float64)
            peer = np.load(out)
            close = np.isclose(ours, peer, rtol=1e-3, atol=1e-3 * np.abs(peer).mean(axis=0))
            result["share_equal_within_1e-3"] = float(close.mean())
            results[f"{rate} Hz, {way}"] = result
    return results


def kinds(repeats: int) -> dict[str, Any]:
    """Every feature of one clip of 30 s in this process, CPU milliseconds, against librosa where it has the like."""
    import librosa

    from tonearm import audio, features

    F = librosa.feature
    rng = np.random.default_rng(0)
    y = (np.cumsum(rng.standard_normal(int(RATE * SECONDS))) % 2 - 1).astype(np.float32)
    peers: dict[str, Callable[[], Any]] = {
        "logmel": lambda: librosa.power_to_db(F.melspectrogram(y=y, sr=RATE), ref=np.max),
        "mel": lambda: F.melspectrogram(y=y, sr=RATE),
        "mfcc": lambda: F.mfcc(y=y, sr=RATE),
        "stft": lambda: np.abs(librosa.stft(y)),
        "zcr": lambda: F.zero_crossing_rate(y),
        "rms": lambda: F.rms(y=y),
        "centroid": lambda: F.spectral_centroid(y=y, sr=RATE),
        "bandwidth": lambda: F.spectral_bandwidth(y=y, sr=RATE),
        "rolloff": lambda: F.spectral_rolloff(y=y, sr=RATE),
        "contrast": lambda: F.spectral_contrast(y=y, sr=RATE),
        "flatness": lambda: F.spectral_flatness(y=y),
        "chroma": lambda: F.chroma_stft(y=y, sr=RATE),
        "cqt": lambda: np.abs(librosa.cqt(y, sr=RATE)),
        "tonnetz": lambda: F.tonnetz(y=y, sr=RATE),
        "tempo": lambda: F.tempo(y=y, sr=RATE),
        "delta": lambda: F.delta(F.mfcc(y=y, sr=RATE)),
    }
    waveform = audio.Waveform(y, RATE)
    sparse = features.create("logmel", frames=387, frame_divisor=387.5)
    ours = {name: features.create(name) for name in features.registry}
    rows = {}
    for name, feature in {**ours, "logmel, 387 frames": sparse}.items():
        peer = peers.get(name.split(",")[0])
        times: dict[str, list[float]] = {"ours": [], "peer": []}
        for turn in range(repeats + 1):
            for side, call in (("ours", lambda feature=feature: feature(waveform)), ("peer", peer)):
                begin = time.process_time()
                if call is not None:
                    call()
                if turn:  # the first makes filters and compiles
                    times[side].append(1e3 * (time.process_time() - begin))
        if peer is None:
            rows[name] = {"ours": statistics.median(times["ours"]), "peer": None, "ratio": None}
        else:
            rows[name] = summary(times["ours"], times["peer"])
    return rows


def version(repeats: int) -> dict[str, Any]:
    """`tonearm --version` against an interpreter that imports numpy."""
    script = shutil.which("tonearm", path=str(Path(sys.executable).parent))
    ours = [script, "--version"] if script else [sys.executable, "-m", "tonearm", "--version"]
    return in_turns(lambda: ours, lambda: [sys.executable, "-c", "import numpy"], max(15, repeats))


def show(results: dict[str, Any]) -> None:
    """A table of one line per comparison, and what was found equal."""
    print(f"{'':42s} {'ours':>10s} {'peer':>10s}   ratio: median (min .. max)")

    def line(name: str, cell: dict[str, Any], unit: str) -> None:
        if cell["ratio"] is None:
            print(f"{name:42s} {cell['ours']:8.2f} {unit}")
            return
        low, middle, high = (cell["ratio"][key] for key in ("min", "median", "max"))
        numbers = f"{cell['ours']:8.2f} {unit} {cell['peer']:7.2f} {unit}"
        print(f"{name:42s} {numbers}   {middle:.3f} ({low:.3f} .. {high:.3f})")

    def processes(name: str, result: dict[str, Any]) -> None:
        line(f"{name}, CPU", result["cpu_seconds"], "s")
        line(f"{name}, wall", result["wall_seconds"], "s")

    if "logmel" in results:
        processes(f"log-mel of {results['logmel']['files']} files", results["logmel"])
        print(f"    largest difference {results['logmel']['largest_difference_db']:.2g} dB")
    for name, result in results.get("statistics", {}).items():
        processes(f"518 statistics, {name}", result)
        print(f"    {100 * result['share_equal_within_1e-3']:.2f} % of the numbers equal within 1e-3")
    for name, cell in results.get("kinds", {}).items():
        line(name, cell, "ms")
    if "version" in results:
        processes("tonearm --version : import numpy", results["version"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("logmel", "statistics", "kinds", "version")
    parser.add_argument("what", nargs="*", help=f"which comparisons: {', '.join(names)}; all unless named")
    parser.add_argument("--data", type=Path, help="folder with music; it is copied. Made here unless given")
    parser.add_argument("--files", type=int, default=60, help="files for log-mel (default 60)")
    parser.add_argument("--statistics-files", type=int, default=12, help="files for the statistics (default 12)")
    parser.add_argument("--repeats", type=int, default=5, help="turns that are counted (default 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if set(options.what) - set(names):
        parser.error(f"choose from {', '.join(names)}")
    chosen = options.what or names
    results: dict[str, Any] = {}
    for name, compare, count in (
        ("logmel", compare_logmel, options.files),
        ("statistics", compare_statistics, options.statistics_files),
    ):
        if name in chosen:
            with tempfile.TemporaryDirectory(prefix="tonearm-benchmark-") as room:
                paths = music(Path(room), options.data, count)
                results[name] = compare(Path(room), paths, options.repeats)
    if "kinds" in chosen:
        results["kinds"] = kinds(options.repeats)
    if "version" in chosen:
        results["version"] = version(options.repeats)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        show(results)


if __name__ == "__main__":
    main()
