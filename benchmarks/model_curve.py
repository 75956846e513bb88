"""How the shipped models would fare with fewer tracks to learn from: accuracy against the share of training tracks.

    python benchmarks/model_curve.py --packs FOLDER -o runs/model-curve

`fma`: nets of the recipe with fewer steps (`--steps`), fitted on a share of the official training part and judged on
the official validation part. `gtzan`: the recipe as it is, three folds of training and validation part with artists
and recordings apart, a share of the artists of each fold's training tracks. Neither looks at a test part. A net that
is there already is not trained again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from tonearm.shipping import make
from tonearm.shipping.recipe import get

SHARES = (0.25, 0.5, 1.0)


def some(shop: make.Workshop, rows: np.ndarray, share: float) -> np.ndarray:
    """Whole artists in a fixed order until the share of tracks is reached, in each genre for itself."""
    if share >= 1:
        return rows
    genre, artist, kept = shop.material.labels[rows], shop.material.artists[rows], []
    for label in np.unique(genre):
        of_genre = rows[genre == label]
        names = np.unique(artist[genre == label])
        order = np.random.default_rng([0, label]).permutation(names)
        place = {name: i for i, name in enumerate(order)}
        by_artist = sorted(of_genre, key=lambda row: (place[shop.material.artists[row]], row))
        kept += by_artist[: max(1, round(len(of_genre) * share))]
    return np.sort(np.array(kept))


def fma(packs: Path, folder: Path, steps: int, parts: list[float]) -> list[dict]:
    recipe = get("fma")
    training = recipe.training.model_copy(update={"steps": steps, "ema_decay": 0.998})
    shop = make._open(recipe.model_copy(update={"training": training}), packs, folder, say)
    learn, judge = make._rows(shop, ("train",)), make._rows(shop, ("valid",))
    found = []
    for share in parts:
        rows = some(shop, learn, share)
        shares = make._answers(shop, make._model(shop, rows, 0, f"fma-{share}"), judge)
        found.append({"share": share, "tracks": len(rows), **make._figure(shop, judge, shares)})
        say(f"fma: {len(rows)} tracks: {found[-1]['accuracy']:.4f} {found[-1]['interval']}")
    return found


def gtzan(packs: Path, folder: Path, parts: list[float]) -> list[dict]:
    shop = make._open(get("gtzan"), packs, folder, say)
    both = make._rows(shop, ("train", "valid"))
    split = make._artists_apart(shop.pack, both, 3)
    found = []
    for share in parts:
        judged, shares, sizes = [], [], []
        for number in range(1, 4):
            fold = split.fold(number).rows(shop.pack)
            rows = some(shop, fold["train"], share)
            model = make._model(shop, rows, 0, f"gtzan-{share}-{number}")
            judged.append(fold["test"])
            shares.append(make._answers(shop, model, fold["test"]))
            sizes.append(len(rows))
        figure = make._figure(shop, np.concatenate(judged), np.concatenate(shares))
        found.append({"share": share, "tracks": float(np.mean(sizes)), **figure})
        say(f"gtzan: {np.mean(sizes):.0f} tracks: {figure['accuracy']:.4f} {figure['interval']}")
    return found


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", choices=("gtzan", "fma"))
    parser.add_argument("--steps", type=int, default=1200, help="of each net for fma; the shipped one has more")
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    found = {}
    if options.only != "gtzan":
        found["fma"] = fma(options.packs, options.output, options.steps, options.shares)
    if options.only != "fma":
        found["gtzan"] = gtzan(options.packs, options.output, options.shares)
    (options.output / f"curve-{options.only or 'both'}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
