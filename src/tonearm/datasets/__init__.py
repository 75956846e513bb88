"""Known datasets, one file each: the listing of this folder is the registry.

A dataset is asked for by text: `gtzan:PATH`, `fma:PATH?subset=small`, `folder:PATH`, `synth`, or a bare PATH, which is
guessed by its layout. `resolve` turns that text into tracks.
"""

from tonearm.datasets._dataset import Archive, Card, Dataset, DatasetError, Option, Problem, registry
from tonearm.datasets._resolve import Resolved, parse, resolve

get = registry.get

__all__ = [
    "Archive",
    "Card",
    "Dataset",
    "DatasetError",
    "Option",
    "Problem",
    "Resolved",
    "get",
    "parse",
    "registry",
    "resolve",
]
