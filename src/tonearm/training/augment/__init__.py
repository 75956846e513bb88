"""Augmentation of clips while training: one file per kind of thing that is augmented, found by the registry."""

from tonearm.training.augment._augmentation import Augmentation, Chain, augmentation, create, registry
from tonearm.training.augment._preview import Preview, preview

__all__ = ["Augmentation", "Chain", "Preview", "augmentation", "create", "preview", "registry"]
