"""Holdfast: Magic-Wormhole exchanges that survive the death of their process.

The public names are imported when they are first used, so that a command which needs none of them
starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from holdfast.errors import (
    AlreadyChoseNameplateError,
    AlreadyChoseWordsError,
    AlreadyResumed,
    BadCheckpoint,
    KeyFormatError,
    LonelyError,
    MustChooseNameplateFirstError,
    NoKeyError,
    OnlyOneCodeError,
    PeerError,
    ServerError,
    WelcomeError,
    WormholeClosed,
    WormholeError,
    WrongPasswordError,
)

if TYPE_CHECKING:
    from holdfast.api import create, from_serialized
    from holdfast.flows import Flow, TaskFailed, flow, task
    from holdfast.wormhole import DelegatedWormhole

_HOMES = {
    "create": "holdfast.api",
    "from_serialized": "holdfast.api",
    "DelegatedWormhole": "holdfast.wormhole",
    "Flow": "holdfast.flows",
    "TaskFailed": "holdfast.flows",
    "flow": "holdfast.flows",
    "task": "holdfast.flows",
}

__all__ = [
    "AlreadyChoseNameplateError",
    "AlreadyChoseWordsError",
    "AlreadyResumed",
    "BadCheckpoint",
    "DelegatedWormhole",
    "Flow",
    "KeyFormatError",
    "LonelyError",
    "MustChooseNameplateFirstError",
    "NoKeyError",
    "OnlyOneCodeError",
    "PeerError",
    "ServerError",
    "TaskFailed",
    "WelcomeError",
    "WormholeClosed",
    "WormholeError",
    "WrongPasswordError",
    "create",
    "flow",
    "from_serialized",
    "task",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
