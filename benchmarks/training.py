"""Training njupt-cnn2d in tonearm's loop against the same net in a plain torch loop and in Keras, runs taken in turn.

The plain loop is what one writes first: float32, channels first, all data in memory as float32, Adam, the same crops
of the same tracks in the same order, the same validation. Each run is a process of its own, so that neither profits
from what the other did to the memory or the threads.

    python benchmarks/training.py                          # synthetic spectrograms
    python benchmarks/training.py --data PACK --epochs 5   # a pack of spectrograms, e.g. gtzan-mel
    python benchmarks/training.py --float32                # and tonearm as on a CPU without bf16 instructions
    python benchmarks/training.py --keras VENV/bin/python  # and the same net in Keras, from a place with tensorflow-cpu
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FRAMES = 128
WAYS = ("plain", "tonearm", "tonearm-float32", "keras")


def synthetic(n: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectrograms (n, 128, 387), uint8, that can be told apart, though not by everyone; labels; validation mask."""
    draw = np.random.default_rng(0)
    labels = np.arange(n) % classes
    shapes = draw.normal(size=(classes, 128, 1)).cumsum(axis=1) * 6
    tempo = 4 + 3 * np.arange(classes)
    beats = 12 * np.sin(2 * np.pi * np.arange(387) / tempo[:, None])[:, None, :]
    x = np.empty((n, 128, 387), np.uint8)
    for i, label in enumerate(labels):
        own = draw.normal(size=(128, 1)).cumsum(axis=0) * 3
        values = 128 + shapes[label] + beats[label] + own + draw.normal(scale=40, size=(128, 387))
        x[i] = values.clip(0, 255)
    return x, labels, draw.random(n) < 0.25


def from_pack(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from tonearm.packs import open_pack

    pack = open_pack(path)
    split, genre = pack.column("split"), pack.column("genre")
    rows = np.flatnonzero(np.isin(split, ("train", "training", "valid", "validation")))
    labels = np.unique(genre[rows], return_inverse=True)[1]
    return np.asarray(pack.features[rows]), labels, np.char.startswith(split[rows].astype(str), "valid")


def parts(features: np.ndarray, labels: np.ndarray, valid: np.ndarray) -> tuple:
    from tonearm.training import Clips

    ids = np.arange(len(labels)).astype(str)
    return tuple(
        Clips(features, np.flatnonzero(some), labels[some], ids[some], FRAMES) for some in (~valid, valid)
    )  # fmt: skip


def written_out(net, n_classes: int):
    """The same net as one writes it, with the same weights: convolution, normalisation, ReLU, pooling, dropout."""
    from torch import nn

    layers, channels = [nn.Unflatten(1, (1, 128))], 1
    for width, pool in zip((16, 32, 64, 128, 64), (2, 2, 2, 2, 4), strict=True):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(pool), nn.Dropout2d(0.25)]
        channels = width
    layers += [nn.Flatten(), nn.Linear(64 * 2 * 2, 32), nn.ReLU(), nn.Linear(32, n_classes)]
    same = nn.Sequential(*layers)
    for mine, theirs in zip(same.state_dict().values(), net.state_dict().values(), strict=True):
        mine.copy_(theirs)
    return same


def plain(train, valid, scale, classes: int, args: argparse.Namespace) -> tuple[float, list[float]]:
    """The loop that one writes first. Data: float32 in memory before the clock runs."""
    import torch
    from torch.nn import functional

    from tonearm.models import nets

    def held(part):
        return torch.from_numpy((part.features[part.rows].astype(np.float32) - scale.mean) / scale.deviation)

    x_train, x_valid = held(train), held(valid)
    y_train, y_valid = torch.from_numpy(train.labels), torch.from_numpy(valid.labels)
    torch.manual_seed(args.seed)
    net = written_out(nets.create("cnn2d", train.shape, classes), classes)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    positions, starts = valid.fixed()
    accuracies, began = [], time.perf_counter()
    for epoch in range(args.epochs):
        net.train()
        for rows, begins in train.epoch(args.batch_size, args.clips, np.random.default_rng([args.seed, epoch])):
            x = torch.stack([x_train[r, :, s : s + FRAMES] for r, s in zip(rows, begins, strict=True)])
            optimizer.zero_grad()
            functional.cross_entropy(net(x), y_train[rows]).backward()
            optimizer.step()
        net.eval()
        total = torch.zeros(len(y_valid), classes)
        with torch.no_grad():
            for at in range(0, len(positions), 64):
                some = slice(at, at + 64)
                x = torch.stack(
                    [x_valid[r, :, s : s + FRAMES] for r, s in zip(positions[some], starts[some], strict=True)]
                )
                total.index_add_(0, torch.from_numpy(positions[some]), net(x).softmax(1))
        accuracies.append(float((total.argmax(1) == y_valid).float().mean()))
    return time.perf_counter() - began, accuracies


def ours(train, valid, scale, classes: int, args: argparse.Namespace) -> tuple[float, list[float]]:
    """`training.fit` with its defaults, or in float32 as where no instructions for bf16 are."""
    import torch

    from tonearm.models import nets
    from tonearm.training import fit, settings

    torch.manual_seed(args.seed)
    net = nets.create("cnn2d", train.shape, classes)
    precision = "float32" if args.one == "tonearm-float32" else "auto"
    cfg = settings(epochs=args.epochs, batch_size=args.batch_size, clips_per_track=args.clips, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        outcome = fit(
            net, train, valid, scale, cfg, Path(folder), seed=args.seed, n_classes=classes, accelerator="cpu"
        )  # fmt: skip
        seconds = time.perf_counter() - began
    return seconds, [row["valid_accuracy"] for row in outcome.history]


def crops(train, valid, scale, args: argparse.Namespace) -> dict[str, np.ndarray]:
    """All that a program without tonearm needs to learn from the same crops in the same order."""
    batches = [
        list(train.epoch(args.batch_size, args.clips, np.random.default_rng([args.seed, epoch])))
        for epoch in range(args.epochs)
    ]
    positions, starts = valid.fixed()
    return {
        "x_train": train.features[train.rows], "y_train": train.labels, "x_valid": valid.features[valid.rows],
        "y_valid": valid.labels, "mean": scale.mean, "deviation": scale.deviation, "valid_rows": positions,
        "valid_starts": starts,
        "rows": np.stack([np.concatenate([rows for rows, _ in epoch]) for epoch in batches]),
        "starts": np.stack([np.concatenate([begins for _, begins in epoch]) for epoch in batches]),
    }  # fmt: skip


def in_keras(args: argparse.Namespace) -> None:
    """The same net as Keras has it by default, in an interpreter that has tensorflow and need not have tonearm."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf
    from tensorflow import keras

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(args.seed)
    data = np.load(Path(args.data) / "crops.npz")
    classes = int(data["y_train"].max()) + 1
    held = {
        part: ((data[f"x_{part}"].astype(np.float32) - data["mean"]) / data["deviation"])[..., None]
        for part in ("train", "valid")
    }

    def cut(part: str, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        return np.stack([held[part][row, :, start : start + FRAMES] for row, start in zip(rows, starts, strict=True)])

    net = keras.Sequential([keras.Input((128, FRAMES, 1))])
    for width, pool in zip((16, 32, 64, 128, 64), (2, 2, 2, 2, 4), strict=True):
        net.add(keras.layers.Conv2D(width, 3, padding="same", use_bias=False))
        net.add(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
        net.add(keras.layers.ReLU())
        net.add(keras.layers.MaxPooling2D(pool))
        net.add(keras.layers.SpatialDropout2D(0.25))
    for layer in (keras.layers.Flatten(), keras.layers.Dense(32, "relu"), keras.layers.Dense(classes)):
        net.add(layer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(1e-3), loss)
    # Its graphs are made before the clock runs: in a training of an hour they cost nothing.
    net.optimizer.build(net.trainable_variables)
    before = [variable.numpy() for variable in (*net.variables, *net.optimizer.variables)]
    some = cut("train", data["rows"][0][: args.batch_size], data["starts"][0][: args.batch_size])
    net.fit(some, data["y_train"][data["rows"][0][: args.batch_size]], batch_size=args.batch_size, verbose=0)
    net.predict(some, batch_size=64, verbose=0)
    for variable, value in zip((*net.variables, *net.optimizer.variables), before, strict=True):
        variable.assign(value)
    accuracies, used, began = [], resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for rows, starts in zip(data["rows"], data["starts"], strict=True):
        x, y = cut("train", rows, starts), data["y_train"][rows]
        net.fit(x, y, batch_size=args.batch_size, shuffle=False, verbose=0)
        scores = net.predict(cut("valid", data["valid_rows"], data["valid_starts"]), batch_size=64, verbose=0)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        total = np.zeros((len(data["y_valid"]), classes))
        np.add.at(total, data["valid_rows"], shares / shares.sum(axis=1, keepdims=True))
        accuracies.append(float((total.argmax(axis=1) == data["y_valid"]).mean()))
    told(time.perf_counter() - began, used, accuracies, len(data["y_valid"]))


def told(seconds: float, before: resource.struct_rusage, accuracies: list[float], n: int) -> None:
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"seconds": seconds, "cpu": cpu, "accuracy": max(accuracies), "n": n}))


def one(way: str, args: argparse.Namespace) -> None:
    """One run of one way, in this process."""
    if hasattr(os, "sched_setaffinity"):  # so that all find the same number of cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    if way == "keras":
        return in_keras(args)
    import torch

    torch.set_num_threads(args.threads)
    features, labels, valid = from_pack(args.data) if args.data else synthetic(args.tracks, 10)
    train, held_out = parts(features, labels, valid)
    scale = train.scale()
    before = resource.getrusage(resource.RUSAGE_SELF)
    seconds, accuracies = (plain if way == "plain" else ours)(train, held_out, scale, int(labels.max()) + 1, args)
    told(seconds, before, accuracies, len(held_out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a pack of spectrograms of 128 bands with the splits train and valid")
    parser.add_argument("--tracks", type=int, default=400, help="how many synthetic ones")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--clips", type=int, default=2, help="crops per track and epoch")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way, in turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="cores that a run may use")
    parser.add_argument("--float32", action="store_true", help="tonearm in float32, too: a further way")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keras", metavar="PYTHON", help="an interpreter that has tensorflow-cpu: a third way")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return one(args.one, args)
    with tempfile.TemporaryDirectory() as folder:
        found = in_turn(args, Path(folder))
    ours = [way for way in found if way.startswith("tonearm")]
    for other, way in ((other, way) for way in ours for other in found if other not in ours):
        for measure in ("seconds", "cpu"):
            ratios = [a[measure] / b[measure] for a, b in zip(found[other], found[way], strict=True)]
            each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"{other} / {way}, {measure}: {np.median(ratios):.2f} (each pair: {each})")
    for way, rows in found.items():
        accuracies, n = [row["accuracy"] for row in rows], rows[0]["n"]
        mean = float(np.mean(accuracies))
        low, high = wilson(mean, n)
        each = ", ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        print(f"validation accuracy, {way}: {mean:.3f} [{low:.3f}, {high:.3f}], n = {n}, {len(rows)} seeds ({each})")


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n tracks (Wilson 1927)."""
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return middle - half, middle + half


def in_turn(args: argparse.Namespace, folder: Path) -> dict[str, list[dict]]:
    """Runs of all ways, one after the other, each round in another order: the machine's moods meet all alike."""
    asked = {"tonearm-float32": args.float32, "keras": args.keras}
    ways = [way for way in WAYS if asked.get(way, True)]
    found: dict[str, list[dict]] = {way: [] for way in ways}
    for number in range(args.rounds):
        args.seed += number > 0
        for way in ways if number % 2 == 0 else ways[::-1]:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", way, "--seed", str(args.seed)]
            if way == "keras":
                train, valid = parts(*(from_pack(args.data) if args.data else synthetic(args.tracks, 10)))
                np.savez(folder / "crops.npz", **crops(train, valid, train.scale(), args))
                command = [args.keras, *command[1:], "--data", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            row = json.loads(done.stdout.splitlines()[-1])
            found[way].append(row)
            print(
                f"{way:15} {row['seconds']:7.2f} s  {row['cpu']:7.2f} s CPU  accuracy {row['accuracy']:.3f}", flush=True
            )
    return found


if __name__ == "__main__":
    main()
