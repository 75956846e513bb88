"""One registry for every room: the listing of a folder is the registry, so adding one thing is adding one file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from tonearm.errors import unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things found in the modules of one package.

    A module registers what it defines with `@registry.add("name")` (or `registry.add("name")(thing)`). The modules
    are imported at the first look-up, not before; a module whose name starts with `_` is not looked at, nor is a
    folder below: it is a room of its own (the nets below the models need torch).
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._things: dict[str, T] = {}
        self._listed = False

    def add(self, name: str) -> Callable[[T], T]:
        def register(thing: T) -> T:
            known = self._things.get(name)
            # A module that is imported a second time (reload, a script run as __main__) may register again.
            if known is not None and getattr(known, "__module__", None) != getattr(thing, "__module__", None):
                raise ValueError(f"two {self.kind}s are named {name!r}")
            self._things[name] = thing
            return thing

        return register

    def _list(self) -> None:
        if self._listed:
            return
        folder = importlib.import_module(self.package)
        for module in sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if not m.ispkg):
            if not module.startswith("_"):
                importlib.import_module(f"{self.package}.{module}")
        self._listed = True

    def names(self) -> list[str]:
        self._list()
        return sorted(self._things)

    def _look_up(self, name: object) -> bool:
        """Import the module of that name if there is one, all of them only if that was not it: a start costs less."""
        if not self._listed and name not in self._things:
            module = str(name).replace("-", "_")
            folder = importlib.import_module(self.package)
            if not module.startswith("_") and module in {
                m.name for m in pkgutil.iter_modules(folder.__path__) if not m.ispkg
            }:
                importlib.import_module(f"{self.package}.{module}")
            if name not in self._things:
                self._list()
        return name in self._things

    def get(self, name: str) -> T:
        if not self._look_up(name):
            raise unknown_name(self.kind, name, self.names())
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        return self._look_up(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())
