"""Making wormholes: `create` and `from_serialized`."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import normalize

from holdfast.core import checkpoint
from holdfast.core.exchange import Exchange
from holdfast.rendezvous.connector import Connector
from holdfast.rendezvous.dialer import Dialer
from holdfast.rendezvous.relay_url import parse_relay_url
from holdfast.status import Status
from holdfast.wormhole import DelegatedWormhole, MakesConnector
from holdfast_journal import IJournal, ImmediateJournal

_dialers: dict[int, Dialer] = {}


def create(
    appid: str,
    relay_url: str,
    reactor: Any,
    *,
    versions: Mapping[str, Any] | None = None,
    delegate: object,
    journal: IJournal | None = None,
    on_status_update: Callable[[Status], object] | None = None,
) -> DelegatedWormhole:
    """Make a wormhole, which begins to connect at once.

    Args:
        appid: the application's identifier, such as "example.com/app1"; the same on both sides.
        relay_url: the mailbox server, a URL that begins with ws: or wss:.
        reactor: Twisted's reactor.
        versions: JSON values that the peer gets as `wormhole_got_versions`.
        delegate: the object whose `wormhole_got_*` methods are called; see `DelegatedWormhole`.
        journal: makes events durable before anything leaves; without one nothing is durable.
        on_status_update: called with news of the connection, values of `holdfast.status`.

    Raises:
        BadRelayUrl: the URL is none that a mailbox server can have.
        TypeError: an argument has the wrong type.
    """
    if not isinstance(appid, str) or not isinstance(relay_url, str):
        raise TypeError("appid and relay_url are text")
    parse_relay_url(relay_url)
    if delegate is None:
        raise TypeError("a delegate is needed: an object with wormhole_got_* methods")
    exchange = Exchange(normalize("NFC", appid), os.urandom(5).hex(), _json_object(versions or {}))
    return _make(
        checkpoint.Saved(relay_url, exchange, ()), reactor, delegate, journal, on_status_update
    )


def _json_object(versions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of *versions*, which will be needed long after whoever gave them is gone."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(versions), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"versions are no JSON values: {error}") from None
    return copy


def from_serialized(
    data: Mapping[str, Any],
    reactor: Any,
    delegate: object,
    journal: IJournal | None = None,
    *,
    on_status_update: Callable[[Status], object] | None = None,
) -> DelegatedWormhole:
    """Resume the wormhole that `DelegatedWormhole.serialize` saved, and connect.

    Only the newest document of a wormhole may be resumed, and only once.

    Raises:
        BadCheckpoint: *data* is damaged, or was written by a newer Holdfast.
        AlreadyResumed: the wormhole is alive in this process.
    """
    if delegate is None:
        raise TypeError("a delegate is needed: only delegated wormholes can be serialized")
    return _make(checkpoint.load(data), reactor, delegate, journal, on_status_update)


def _make(
    saved: checkpoint.Saved,
    reactor: Any,
    delegate: object,
    journal: IJournal | None,
    on_status_update: Callable[[Status], object] | None,
) -> DelegatedWormhole:
    wormhole = DelegatedWormhole(
        saved.relay_url,
        saved.exchange,
        delegate,
        ImmediateJournal() if journal is None else journal,
        connectors(reactor),
        pending=saved.pending,
        on_status_update=on_status_update,
    )
    wormhole.start()
    return wormhole


def connectors(reactor: Any) -> MakesConnector:
    """Return what makes connectors on *reactor*, all of which take turns at dialling."""
    dialer = _dialers.setdefault(id(reactor), Dialer(reactor))
    jitter = random.Random()  # noqa: S311 - spreads reconnections, hides nothing

    def make(url: str, wormhole: DelegatedWormhole) -> Connector:
        return Connector(dialer, url, wormhole, jitter)

    return make
