"""How many excerpts of a song are enough: answers from a few against the answer from all of it.

    python benchmarks/listening.py SONGS --model fma

For each song in the folder, windows of the clip that the model learnt from are heard every few seconds; their joined
votes are the answer of the whole song. Then as few as 1, 2, 3, 5, 8 windows, spread as `tonearm predict` spreads them
and shifted by up to a tenth of the song to have more than one try per song, are held against it: how often the first
genre is the same, how far the probabilities are (mean absolute difference), how like the embedding is (cosine, about
the mean of all songs), and what it costs in CPU time to decode and to answer. The last row hears as the model does, and
more where it is in doubt (not shifted).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import tonearm
from tonearm import audio
from tonearm.runtime import _listen


def long(model) -> _listen.Plan:
    """Clips as long as those that the model learnt from, which its own excerpts need not be."""
    return model.plan._replace(clip_seconds=model.plan.whole_seconds)


def windows(model, path: Path, step_seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts in seconds, crop logits (windows, crops, classes) and embeddings (windows, d) of a song."""
    starts, logits, vectors = [], [], []
    for start, waveform in _listen.windows(str(path), long(model), step_seconds):
        starts.append(start)
        told, embedding = model._answers(model.features_of([waveform]))
        logits.append(told[0])
        vectors.append(embedding[0].mean(axis=0))
    return np.array(starts), np.stack(logits), np.stack(vectors)


def likeness(some: list[np.ndarray], whole: list[np.ndarray]) -> float:
    """Mean cosine of vectors with those of the whole songs; the mean of all songs is what they all have."""
    middle = np.mean(whole, axis=0)
    a, b = np.stack(some) - middle, np.stack(whole) - middle
    return float(((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).mean())


def joined(model, logits: np.ndarray) -> np.ndarray:
    return model._joined(logits.reshape(1, -1, logits.shape[-1]))[0]


def cost(model, path: Path, excerpts: int) -> tuple[float, float]:
    """CPU milliseconds to decode and to answer with so many excerpts."""
    plan = long(model)._replace(excerpts=excerpts)
    begun = time.process_time()
    heard = _listen.listen(str(path), plan)
    decoded = time.process_time()
    model.from_waveforms(heard.excerpts)
    return 1e3 * (decoded - begun), 1e3 * (time.process_time() - decoded)


def as_it_hears(model, paths: list[Path], songs: list[tuple[np.ndarray, ...]]) -> dict:
    """What `predict` says, doubt and all, against the answer of the whole song."""
    same, apart, heard, times, vectors = [], [], [], [], []
    features_of, seconds = model.features_of, 0.0

    def counted(waveforms: list) -> np.ndarray:
        nonlocal seconds
        seconds += sum(waveform.seconds for waveform in waveforms)
        return features_of(waveforms)

    model.features_of = counted
    for path, (_, logits, _) in zip(paths, songs, strict=True):
        whole, begun, seconds = joined(model, logits), time.process_time(), 0.0
        told = model.predict(str(path))
        times.append(1e3 * (time.process_time() - begun))
        same.append(int(told.probabilities.argmax() == whole.argmax()))
        apart.append(float(np.abs(told.probabilities - whole).mean()))
        heard.append(seconds)
        vectors.append(told.embedding)
    model.features_of = features_of
    return {
        "heard_seconds": float(np.mean(heard)),
        "same_first_genre": float(np.mean(same)),
        "mean_difference": float(np.mean(apart)),
        "embedding_likeness": likeness(vectors, [found[2].mean(axis=0) for found in songs]),
        "n": len(same),
        "songs": len(paths),
        "in_all_ms": float(np.median(times)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path, help="a folder of whole songs")
    parser.add_argument("--model", default="fma")
    parser.add_argument("--step-seconds", type=float, default=3.0)
    parser.add_argument("--shifts", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    model = tonearm.load(arguments.model)
    paths = [path for path in sorted(arguments.songs.iterdir()) if path.suffix.lower() in audio.SUFFIXES]
    paths = [path for path in paths if audio.info(path).seconds > model.plan.whole_seconds * 1.5]
    songs = [windows(model, path, arguments.step_seconds) for path in paths]
    model.predict(str(paths[0]))  # what is loaded once is not part of the cost
    rows = []
    for count in (1, 2, 3, 5, 8):
        same, apart, some_vectors, whole_vectors = [], [], [], []
        for starts, logits, vectors in songs:
            whole = joined(model, logits)
            seconds = starts[-1] + model.plan.whole_seconds
            for shift in np.linspace(-0.1, 0.1, arguments.shifts) if arguments.shifts > 1 else (0.0,):
                plan = long(model)._replace(excerpts=count)
                wanted = np.array(_listen.starts(seconds, plan)) + shift * seconds
                chosen = np.abs(starts[:, None] - np.clip(wanted, 0, starts[-1])).argmin(0)
                some = joined(model, logits[chosen])
                same.append(int(some.argmax() == whole.argmax()))
                apart.append(float(np.abs(some - whole).mean()))
                some_vectors.append(vectors[chosen].mean(axis=0))
                whole_vectors.append(vectors.mean(axis=0))
        times = np.median([cost(model, path, count) for path in paths for _ in range(3)], axis=0)
        rows.append(
            {
                "excerpts": count,
                "same_first_genre": float(np.mean(same)),
                "mean_difference": float(np.mean(apart)),
                "embedding_likeness": likeness(some_vectors, whole_vectors),
                "n": len(same),
                "songs": len(paths),
                "decode_ms": float(times[0]),
                "answer_ms": float(times[1]),
            }
        )
    rows.append(as_it_hears(model, paths, songs))
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{model.name} {model.version}: {len(paths)} songs, {arguments.shifts} shifts each")
    for row in rows:
        whole = "in_all_ms" in row
        begin = f"{row['heard_seconds']:4.0f} s, as it hears" if whole else f"{row['excerpts']:4.3g} excerpts"
        words = f"{begin}: first genre as of the whole song {row['same_first_genre']:.0%}"
        words += f" of {row['n']}, probabilities apart {row['mean_difference']:.3f}"
        words += f", embedding {row['embedding_likeness']:.2f}"
        if whole:
            print(f"{words}, {row['in_all_ms']:.0f} ms in all")
        else:
            print(f"{words}, decode {row['decode_ms']:.0f} ms, answer {row['answer_ms']:.0f} ms")


if __name__ == "__main__":
    main()
