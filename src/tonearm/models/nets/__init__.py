"""Torch networks, one file each. Importing this room imports torch: only training does."""

from tonearm.models.nets._export import export
from tonearm.models.nets._net import Net, create, net, registry

__all__ = ["Net", "create", "export", "net", "registry"]
