"""Modules that have another name now: the old one still works, warns, and goes in 1.0."""

from collections.abc import Callable
from importlib import import_module
from warnings import warn


def moved(old: str, new: str) -> Callable[[str], object]:
    """Return a module's `__getattr__` that finds everything in `new`, and says so."""

    def get(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        found: object = getattr(import_module(new), name)
        warn(f"{old} is called {new} now", DeprecationWarning, stacklevel=2)
        return found

    return get
