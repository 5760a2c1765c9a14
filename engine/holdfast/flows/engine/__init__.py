"""What runs flows: the engine, and what it makes of each flow that it takes."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.flows.engine.engine import Engine as Engine


def __getattr__(name: str) -> object:
    # `Engine` was in a module of this name.
    if name != "Engine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.engine"), name)
