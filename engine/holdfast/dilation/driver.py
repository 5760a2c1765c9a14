"""The dilation of one wormhole at work: what is saved, the connection, and what goes both ways.

What must survive is in the manager and the ledger, which are pure and are saved in the wormhole's
own commits. Everything else here is of this process: contests, one link after another, protocols.
What the manager asks for is carried out behind the commit that it asked in.

Two rules hold for all that crosses a link: nothing leaves before it is durable, and nothing is
acknowledged before its effect is. `mark` notes at the end of an entry how far the ledger is, and
`committed` lets that out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from attrs import frozen
from twisted.internet.error import ConnectionDone
from twisted.logger import Logger

from holdfast.clock import Timer
from holdfast.dilation import control
from holdfast.dilation.channels import Channels
from holdfast.dilation.connecting import Connecting
from holdfast.dilation.dilated import DilatedWormhole
from holdfast.dilation.document import load, save
from holdfast.dilation.entries import Entries, Host
from holdfast.dilation.greeting import NoiseGreeting
from holdfast.dilation.ledger import Ended, Ledger, Opened, Received
from holdfast.dilation.link import Link
from holdfast.dilation.manager import (
    WORDS,
    Dial,
    Drop,
    Effects,
    Manager,
    Ready,
    Refused,
    Say,
    StartContest,
)
from holdfast.dilation.options import DilateOptions
from holdfast.dilation.pulse import Pulse
from holdfast.dilation.receiving import Receiving
from holdfast.dilation.records import Ack, Close, Data, Open, Ping, read
from holdfast.dilation.sending import Sending
from holdfast.errors import OldPeerCannotDilateError, WormholeError
from holdfast.transit.contest import Link as Socket
from holdfast.transit.hints import address

SIDE_LENGTH: Final = 8
"""Bytes of our name in `please`."""

PING_LENGTH: Final = 4

AFTER_ABORT: Final = 0.1
"""Seconds between the end of a connection and the leader's `reconnect`.

A stock follower that hears of `reconnect` first, and has much to send, never gets out of it."""

LONGEST_PAUSE: Final = 60.0
"""Seconds of that pause, after connections on which nothing came through."""

CLOSING_TIME: Final = 10.0
"""Seconds that a closing wormhole waits for the peer to acknowledge everything."""

WINDOW: Final = 8 * 1024 * 1024
"""Bytes that may be unacknowledged before producers are paused."""

STORED_WINDOW: Final = 2 * 1024 * 1024
"""The same if they are written into each commit."""

_log = Logger()


@frozen
class Mark:
    """How far the ledger was at the end of an entry.

    Args:
        out: the highest number that was given to a record of ours; -1 if there was none.
        in_: the highest number of a record of the peer's that was taken, or -1.
    """

    out: int
    in_: int


class Dilation:
    """Drives the dilation of one wormhole.

    Args:
        host: the wormhole.
        saved: what `save` returned in an earlier process; None for a new one.
        options: the arguments of `dilate`.

    Raises:
        BadCheckpoint: `saved` is damaged.
    """

    def __init__(
        self, host: Host, saved: Mapping[str, Any] | None, options: DilateOptions
    ) -> None:
        self._host = host
        self._options = options
        self._is_resumed = saved is not None
        if saved is None:
            self._manager = Manager.begin(host.entropy(SIDE_LENGTH).hex())
            self._ledger = Ledger()
        else:
            document = load(saved)
            self._manager, self._ledger = document.manager, document.ledger
        self._entries = Entries(host)
        self._channels = Channels(self._ledger, self._entries, options.expected)
        self._traffic = Traffic(host, self._ledger, self._entries, self._channels, options)
        self._connecting = Connecting(
            host,
            self,
            self._manager.data.side,
            () if options.relay is None else (address(options.relay),),
            listen=not options.no_listen,
        )
        self._timers = Timers(host.clock)
        self._pause = AFTER_ABORT
        self._closing: Callable[[], None] | None = None
        self.dilated = DilatedWormhole(self._channels, self._ledger, resumed=self._is_resumed)
        """What the application holds."""
