"""Holdfast: Magic-Wormhole exchanges that survive the death of their process.

The public names are imported when they are first used, so that a command that does not need them
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
    CanOnlyDilateOnceError,
    CodeLostError,
    CrowdedError,
    DilationNotOfferedError,
    EndpointUsedError,
    KeyFormatError,
    LonelyError,
    MustChooseNameplateFirstError,
    NoKeyError,
    OldPeerCannotDilateError,
    OnlyOneCodeError,
    PeerError,
    PeerGoneError,
    ServerConnectionError,
    ServerError,
    WelcomeError,
    WormholeClosed,
    WormholeError,
    WrongPasswordError,
)

if TYPE_CHECKING:
    from holdfast.api import create, from_serialized
    from holdfast.dilation.channel import SubchannelAddress
    from holdfast.dilation.dilated import DilatedWormhole
    from holdfast.flows import (
        Activity,
        Call,
        Flow,
        Session,
        TaskFailed,
        UnknownFlow,
        Wanted,
        activity,
        flow,
        task,
    )
    from holdfast.flows.document import new_flow
    from holdfast.flows.engine.engine import Engine
    from holdfast.rendezvous.relay_url import BadRelayUrl
    from holdfast.rendezvous.tor import TorManager, TorUnavailable, get_tor
    from holdfast.shell.deferred import DeferredWormhole
    from holdfast.shell.typing.helper import InputHelper
    from holdfast.shell.typing.readline import input_with_completion
    from holdfast.shell.wormhole import DelegatedWormhole
    from holdfast.status import Status
    from holdfast.timing import DebugTiming
    from holdfast.transit.connection import Connection, TransitClosed
    from holdfast.transit.errors import RecordError, TransitError
    from holdfast.transit.transit import TransitReceiver, TransitSender
    from holdfast_journal import IJournal, ImmediateJournal, Journal, SqlJournal

_HOMES = {
    "create": "holdfast.api",
    "from_serialized": "holdfast.api",
    "BadRelayUrl": "holdfast.rendezvous.relay_url",
    "Call": "holdfast.flows",
    "Connection": "holdfast.transit.connection",
    "DebugTiming": "holdfast.timing",
    "DeferredWormhole": "holdfast.shell.deferred",
    "DelegatedWormhole": "holdfast.shell.wormhole",
    "DilatedWormhole": "holdfast.dilation.dilated",
    "Engine": "holdfast.flows.engine.engine",
    "IJournal": "holdfast_journal",
    "ImmediateJournal": "holdfast_journal",
    "InputHelper": "holdfast.shell.typing.helper",
    "Journal": "holdfast_journal",
    "RecordError": "holdfast.transit.errors",
    "SqlJournal": "holdfast_journal",
    "Status": "holdfast.status",
    "SubchannelAddress": "holdfast.dilation.channel",
    "TorManager": "holdfast.rendezvous.tor",
    "TorUnavailable": "holdfast.rendezvous.tor",
    "TransitClosed": "holdfast.transit.connection",
    "TransitError": "holdfast.transit.errors",
    "TransitReceiver": "holdfast.transit.transit",
    "TransitSender": "holdfast.transit.transit",
    "get_tor": "holdfast.rendezvous.tor",
    "input_with_completion": "holdfast.shell.typing.readline",
    "Activity": "holdfast.flows",
    "Flow": "holdfast.flows",
    "Session": "holdfast.flows",
    "Wanted": "holdfast.flows",
    "activity": "holdfast.flows",
    "TaskFailed": "holdfast.flows",
    "flow": "holdfast.flows",
    "UnknownFlow": "holdfast.flows",
    "new_flow": "holdfast.flows.document",
    "task": "holdfast.flows",
}

__all__ = [
    "Activity",
    "AlreadyChoseNameplateError",
    "AlreadyChoseWordsError",
    "AlreadyResumed",
    "BadCheckpoint",
    "BadRelayUrl",
    "Call",
    "CanOnlyDilateOnceError",
    "CannotSerialize",
    "CodeLostError",
    "Connection",
    "CrowdedError",
    "DebugTiming",
    "DeferredWormhole",
    "DelegatedWormhole",
    "DilatedWormhole",
    "DilationNotOfferedError",
    "EndpointUsedError",
    "Engine",
    "Flow",
    "IJournal",
    "ImmediateJournal",
    "InputHelper",
    "Journal",
    "KeyFormatError",
    "LonelyError",
    "MustChooseNameplateFirstError",
    "NoKeyError",
    "OldPeerCannotDilateError",
    "OnlyOneCodeError",
    "PeerError",
    "PeerGoneError",
    "RecordError",
    "ServerConnectionError",
    "ServerError",
    "Session",
    "SqlJournal",
    "Status",
    "SubchannelAddress",
    "TaskFailed",
    "TorManager",
    "TorUnavailable",
    "TransitClosed",
    "TransitError",
    "TransitReceiver",
    "TransitSender",
    "UnknownFlow",
    "Wanted",
    "WelcomeError",
    "WormholeClosed",
    "WormholeError",
    "WrongPasswordError",
    "activity",
    "create",
    "flow",
    "from_serialized",
    "get_tor",
    "input_with_completion",
    "new_flow",
    "task",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
