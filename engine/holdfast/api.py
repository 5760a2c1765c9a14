"""Making wormholes: `create` and `from_serialized`."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload
from unicodedata import normalize
from weakref import WeakKeyDictionary

from attrs import evolve

from holdfast.core import checkpoint
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Bind
from holdfast.errors import BadCheckpoint, CannotSerialize
from holdfast.rendezvous.connector import ConnectionOwner, Connector
from holdfast.rendezvous.dialer import Dialer
from holdfast.rendezvous.relay_url import parse_relay_url
from holdfast.rendezvous.tor import TorManager
from holdfast.rendezvous.wire import LARGEST_FRAME, write
from holdfast.shell.contact import MakesConnector
from holdfast.shell.deferred import DeferredWormhole, Eventually, Observers
from holdfast.shell.lull import Lull
from holdfast.shell.options import Options
from holdfast.shell.wormhole import LONGEST_MESSAGE, DelegatedWormhole, hears_of_dilation
from holdfast.status import Status
from holdfast.timing import DebugTiming
from holdfast_journal import IJournal, ImmediateJournal

T = TypeVar("T")

_connectors: WeakKeyDictionary[Any, MakesConnector] = WeakKeyDictionary()
_turns: WeakKeyDictionary[Any, Eventually] = WeakKeyDictionary()
_lulls: WeakKeyDictionary[Any, Lull] = WeakKeyDictionary()
_usual: WeakKeyDictionary[Any, Options] = WeakKeyDictionary()
"""One of each for all wormholes of a reactor."""


@overload
def create(
    appid: str,
    relay_url: str,
    reactor: Any,
    versions: Mapping[str, Any] | None = None,
    delegate: None = None,
    journal: None = None,
    tor: TorManager | None = None,
    timing: DebugTiming | None = None,
    welcome_handler: Callable[[dict[str, Any]], object] | None = None,
    *,
    tor_manager: TorManager | None = None,
    on_status_update: Callable[[Status], object] | None = None,
    first_failure_is_final: bool = False,
    stderr: object = None,
    dilation: bool | None = None,
) -> DeferredWormhole: ...


@overload
def create(
    appid: str,
    relay_url: str,
    reactor: Any,
    versions: Mapping[str, Any] | None = None,
    *,
    delegate: object,
    journal: IJournal | None = None,
    tor: TorManager | None = None,
    timing: DebugTiming | None = None,
    welcome_handler: Callable[[dict[str, Any]], object] | None = None,
    tor_manager: TorManager | None = None,
    on_status_update: Callable[[Status], object] | None = None,
    first_failure_is_final: bool = False,
    stderr: object = None,
    dilation: bool | None = None,
) -> DelegatedWormhole: ...


def create(  # noqa: PLR0913 - the seed's signature
    appid: str,
    relay_url: str,
    reactor: Any,
    versions: Mapping[str, Any] | None = None,
    delegate: object = None,
    journal: IJournal | None = None,
    tor: TorManager | None = None,
    timing: DebugTiming | None = None,
    welcome_handler: Callable[[dict[str, Any]], object] | None = None,
    *,
    tor_manager: TorManager | None = None,
    on_status_update: Callable[[Status], object] | None = None,
    first_failure_is_final: bool = False,
    stderr: object = None,  # noqa: ARG001 - likewise
    dilation: bool | None = None,
) -> DelegatedWormhole | DeferredWormhole:
    """Make a wormhole, which starts to connect at once.

    Args:
        appid: the application's identifier, such as "example.com/app1"; the same on both sides.
        relay_url: the mailbox server, a URL that begins with ws: or wss:.
        reactor: Twisted's reactor.
        versions: JSON values that the peer gets as its event `versions`.
        delegate: the object whose `wormhole_got_*` methods are called; see `DelegatedWormhole`.
            Without one the wormhole is in Deferred mode; see `DeferredWormhole`.
        journal: makes events durable before anything is sent; without one nothing is durable.
            Delegated mode only.
        tor: makes every connection go through Tor; see `get_tor`. Any object with txtorcon's
            method `stream_via` will do.
        timing: records when every message was sent and received.
        welcome_handler: called with the server's welcome.
        tor_manager: a synonym of `tor`.
        on_status_update: called with a `holdfast.status.Status` whenever the state of the
            connection or of the key changes.
        first_failure_is_final: whether a failed first attempt to connect ends the wormhole with
            ServerConnectionError, as it does in the `magic-wormhole` library; otherwise the
            attempt is repeated until it succeeds.
        stderr: accepted for programs that pass it to the `magic-wormhole` library; not used,
            because nothing here prints.
        dilation: whether the peer is told that we can dilate; see `DelegatedWormhole.dilate`. By
            default it is if the delegate has a method `wormhole_dilated`; and in any case if
            `dilate` is called before there is a key.

    Raises:
        BadRelayUrl: a mailbox server cannot have such a URL.
        CannotSerialize: a journal was given without a delegate.
        TypeError: an argument has the wrong type.
        ValueError: `versions` or `appid` are longer than a server has to accept.
    """
    if not isinstance(appid, str) or not isinstance(relay_url, str):
        raise TypeError("appid and relay_url are text")
    parse_relay_url(relay_url)
    if delegate is None and journal is not None:
        raise CannotSerialize(
            "A journal needs a delegate: Deferreds cannot be saved. Pass delegate= too."
        )
    _check_journal(journal)
    _check_timing(timing)
    if tor is not None and tor_manager is not None:
        raise TypeError("tor and tor_manager are the same: give one of them")
    appid, side = normalize("NFC", appid), os.urandom(5).hex()
    if len(write(Bind(appid, side), "0000")) > LARGEST_FRAME:
        raise ValueError("the appid is too long: a server need not take it")
    exchange = Exchange(appid, side, _json_object(versions or {}))
    exchange.talk.dilation = hears_of_dilation(delegate) if dilation is None else dilation
    observers = None if delegate is not None else Observers(_one_of(_turns, reactor, Eventually))
    wormhole = _make(
        checkpoint.SavedWormhole(relay_url, exchange, ()),
        reactor,
        delegate if observers is None else observers,
        journal,
        tor if tor is not None else tor_manager,
        Options(
            on_status_update=on_status_update,
            timing=timing,
            welcome_handler=welcome_handler,
            first_failure_is_final=first_failure_is_final,
            clock=reactor,
            tor=tor if tor is not None else tor_manager,
        ),
    )
    result = wormhole if observers is None else DeferredWormhole(wormhole, observers)
    wormhole.start()
    return result


def _check_journal(journal: object) -> None:
    if journal is not None and not hasattr(journal, "queue_outbound"):
        raise TypeError(
            "journal has no queue_outbound(): it is not an IJournal. A SqlJournal keeps many flows:"
            " pass the journal of one of them."
        )


def _json_object(versions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `versions`, because the caller may change its own later."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(versions), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"versions must be JSON values: {error}") from None
    size = len(json.dumps({"app_versions": copy}))
    if size > LONGEST_MESSAGE:
        raise ValueError(
            f"versions travel as one message, which has at most {LONGEST_MESSAGE:,} bytes;"
            f" these take {size:,}"
        )
    return copy


def _check_timing(timing: object) -> None:
    if timing is not None and not isinstance(timing, DebugTiming):
        raise TypeError(
            "timing is a holdfast.DebugTiming; that of another library keeps other records"
        )


def from_serialized(
    data: Mapping[str, Any],
    reactor: Any,
    delegate: object,
    journal: IJournal | None = None,
    *,
    tor: TorManager | None = None,
    timing: DebugTiming | None = None,
    welcome_handler: Callable[[dict[str, Any]], object] | None = None,
    on_status_update: Callable[[Status], object] | None = None,
) -> DelegatedWormhole:
    """Resume the wormhole that `DelegatedWormhole.serialize` saved, and connect.

    Only the newest document of a wormhole may be resumed, and only once. The arguments are those
    of `create`; what is not in the document (a journal, Tor, ...) must be given again.

    Raises:
        BadCheckpoint: `data` is damaged, a flow's, or was written by a newer Holdfast.
        BadRelayUrl: a mailbox server cannot have the URL in it.
        AlreadyResumed: the wormhole is alive in this process.
        CannotSerialize: the delegate is missing.
        TypeError: `journal`, `timing` or `tor` is something else.
    """
    if delegate is None:
        raise CannotSerialize
    _check_journal(journal)
    _check_timing(timing)
    saved = checkpoint.load(data)
    if saved.exchange.outbox.data.kept:
        raise BadCheckpoint("the saved wormhole is a flow's, and its messages lie in the database")
    wormhole = _make(
        saved,
        reactor,
        delegate,
        journal,
        tor,
        Options(
            on_status_update=on_status_update,
            timing=timing,
            welcome_handler=welcome_handler,
            clock=reactor,
            tor=tor,
        ),
    )
    wormhole.start()
    return wormhole


def _make(
    saved: checkpoint.SavedWormhole,
    reactor: Any,
    delegate: object,
    journal: IJournal | None,
    tor: TorManager | None,
    options: Options,
) -> DelegatedWormhole:
    if hasattr(journal, "comes_again"):  # an entry of its own would cost a transaction
        options = evolve(options, lull=_one_of(_lulls, reactor, Lull))
    # Most ask for nothing, and there may be thousands: they share one object.
    usual = _one_of(_usual, reactor, lambda reactor: Options(clock=reactor))
    return DelegatedWormhole(
        saved.relay_url,
        saved.exchange,
        delegate,
        ImmediateJournal() if journal is None else journal,
        connectors(reactor, tor),
        pending=saved.pending,
        heard_at=saved.heard_at,
        dilation=saved.dilation,
        options=usual if options == usual else options,
    )


def connectors(reactor: Any, tor: TorManager | None = None) -> MakesConnector:
    """Return a factory of connectors on `reactor`, all of which take turns at dialling."""
    if tor is None:
        return _one_of(_connectors, reactor, lambda reactor: through(Dialer(reactor)))
    # Any object that can connect through Tor will do, also txtorcon's own.
    endpoints = tor if isinstance(tor, TorManager) else TorManager(tor)
    return through(Dialer(reactor, endpoints=endpoints))


def connect_through(reactor: Any, connector: MakesConnector) -> None:
    """Have the wormholes of `reactor` connect through `connector`, except those that use Tor.

    For tests, whose reactor is a clock; see `holdfast.testing`.
    """
    _connectors[reactor] = connector


def _one_of(made: WeakKeyDictionary[Any, T], reactor: Any, make: Callable[[Any], T]) -> T:
    if reactor not in made:
        made[reactor] = make(reactor)
    return made[reactor]


def through(dialer: Dialer) -> MakesConnector:
    """Return a factory of connectors that `dialer` connects."""
    jitter = random.Random()  # noqa: S311 - spreads reconnections, hides nothing

    def make(url: str, owner: ConnectionOwner) -> Connector:
        return Connector(dialer, url, owner, jitter)

    return make
