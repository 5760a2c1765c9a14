"""Telling an application how its wormhole stands, and recording it for a timing diagram."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.logger import Logger

from holdfast.core import describe
from holdfast.core import events as ev
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Frame
from holdfast.core.key import State
from holdfast.shell.options import Options
from holdfast.status import (
    AllegedKey,
    ConfirmedKey,
    Connecting,
    Connection,
    Key,
    NoKey,
    Status,
)

FROM_APPLICATION = (
    ev.AllocateCode,
    ev.SetCode,
    ev.TypeCode,
    ev.ChooseNameplate,
    ev.ChooseWords,
    ev.SendMessage,
    ev.Dilate,
    ev.SendDilation,
    ev.DilationSeen,
    ev.Close,
)
"""The events that are the application's own doing."""

_NO_KEY = NoKey()
_KEYS: Mapping[State, Key] = {"agreed": AllegedKey(), "confirmed": ConfirmedKey()}
_log = Logger()


class News:
    """What `on_status_update` hears, and what `timing` records.

    Args:
        exchange: the state, to look at.
        connection: how the connection stands at first.
        options: both of these.
    """

    __slots__ = ("_connection", "_exchange", "_key_told", "_options")

    def __init__(self, exchange: Exchange, connection: Connection, options: Options) -> None:
        self._exchange = exchange
        self._connection = connection
        self._options = options
        self._key_told = self._key()

    @property
    def first_attempt(self) -> bool:
        """Whether no connection has come to anything yet, good or bad."""
        return isinstance(self._connection, Connecting)

    @property
    def status(self) -> Status:
        """How the wormhole stands."""
        return Status(self._connection, self._key())

    def connection(self, connection: Connection) -> None:
        """Tell that the connection's state has changed."""
        self._connection = connection
        if self._options.timing is not None:
            self._options.timing.add("connection", type(connection).__name__.lower())
        self._status(self._key())

    def key(self) -> None:
        """Tell how far the key is, if that has changed."""
        key = self._key()
        if key is not self._key_told:
            self._status(key)

    def event(self, event: ev.Event) -> None:
        """Record that `event` happens."""
        if self._options.timing is not None:
            way = "asked" if isinstance(event, FROM_APPLICATION) else "heard"
            words = describe.heard(event, self._exchange.side)
            self._options.timing.add(
                way, words.removeprefix("application: ").removeprefix("server: ")
            )

    def told(self, name: str) -> None:
        """Record that the delegate's method `name` is called."""
        if self._options.timing is not None:
            self._options.timing.add("told", name)

    def sent(self, frame: Frame) -> None:
        """Record that `frame` leaves."""
        if self._options.timing is not None:
            self._options.timing.add("said", describe.said(frame) or type(frame).__name__.lower())

    def _key(self) -> Key:
        return _KEYS.get(self._exchange.key.state, _NO_KEY)

    def _status(self, key: Key) -> None:
        self._key_told = key
        tell = self._options.on_status_update
        if tell is not None:
            try:
                tell(Status(self._connection, key))
            except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
                # News are not events: if the application fails here, the wormhole continues.
                _log.failure("The application failed while hearing of the connection")
