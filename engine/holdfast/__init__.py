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
    CannotSerialize,
    KeyFormatError,
    LonelyError,
    MustChooseNameplateFirstError,
    NoKeyError,
    OnlyOneCodeError,
    PeerError,
    ServerConnectionError,
    ServerError,
    WelcomeError,
    WormholeClosed,
    WormholeError,
    WrongPasswordError,
)

if TYPE_CHECKING:
    from holdfast.api import create, from_serialized
    from holdfast.codes.helper import InputHelper
    from holdfast.codes.readline import input_with_completion
    from holdfast.deferred import DeferredWormhole
    from holdfast.flows import Flow, TaskFailed, flow, task
    from holdfast.timing import DebugTiming
    from holdfast.tor import TorManager, TorUnavailable, get_tor
    from holdfast.wormhole import DelegatedWormhole
    from holdfast_journal import IJournal, ImmediateJournal, Journal, SqlJournal

_HOMES = {
    "create": "holdfast.api",
    "from_serialized": "holdfast.api",
    "DebugTiming": "holdfast.timing",
    "DeferredWormhole": "holdfast.deferred",
    "DelegatedWormhole": "holdfast.wormhole",
    "IJournal": "holdfast_journal",
    "ImmediateJournal": "holdfast_journal",
    "InputHelper": "holdfast.codes.helper",
    "Journal": "holdfast_journal",
    "SqlJournal": "holdfast_journal",
    "TorManager": "holdfast.tor",
    "TorUnavailable": "holdfast.tor",
    "get_tor": "holdfast.tor",
    "input_with_completion": "holdfast.codes.readline",
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
    "CannotSerialize",
    "DebugTiming",
    "DeferredWormhole",
    "DelegatedWormhole",
    "Flow",
    "IJournal",
    "ImmediateJournal",
    "InputHelper",
    "Journal",
    "KeyFormatError",
    "LonelyError",
    "MustChooseNameplateFirstError",
    "NoKeyError",
    "OnlyOneCodeError",
    "PeerError",
    "ServerConnectionError",
    "ServerError",
    "SqlJournal",
    "TaskFailed",
    "TorManager",
    "TorUnavailable",
    "WelcomeError",
    "WormholeClosed",
    "WormholeError",
    "WrongPasswordError",
    "create",
    "flow",
    "from_serialized",
    "get_tor",
    "input_with_completion",
    "task",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
