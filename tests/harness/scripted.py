"""A stock client in this process that can be stopped between any two of its frames.

It is the `magic-wormhole` package's own client, crypto and order of frames included; only
its last step, the sending of a frame, and its connection are in the test's hands. Use it
inside a function that `tests.harness.reactor.run()` runs.

The stages of an exchange are the places to stop before:

==================================  ==================================================
`stop_before("claim")`              knows the code, has claimed nothing
`stop_before("open")`               has claimed the nameplate and never opens the mailbox
`stop_before("add", "pake")`        is in the mailbox and says nothing
`stop_before("add", "version")`     has sent its PAKE message, and nothing else
`stop_before("add", "0")`           has proved the code, and sends no message
`stop_before("release")`            has not released the nameplate (nor gone any further)
`stop_before("close")`              has done all but close
==================================  ==================================================
"""

from typing import Any

import wormhole
from attrs import define
from twisted.internet import reactor
from twisted.internet.defer import Deferred

TEXT_OR_FILE = "lothar.com/wormhole/text-or-file-xfer"
"""The appid of the stock send and receive commands."""


@define(eq=False)
class _Seen:
    """Somebody waits for a frame."""

    kind: str
    phase: str | None
    arrived: Deferred[None]

    def is_about(self, kind: str, phase: str | None) -> bool:
        return kind == self.kind and self.phase in (None, phase)


class StockPeer:
    """One stock wormhole, in its Deferred mode, as `peer.wormhole`.

    `await peer.wormhole.get_message()` and the like are the stock API.
    """

    def __init__(
        self, relay_url: str, *, appid: str = TEXT_OR_FILE, versions: dict[str, Any] | None = None
    ) -> None:
        self.wormhole = wormhole.create(appid, relay_url, reactor, versions=versions or {})
        self.sent: list[tuple[str, str | None]] = []
        """Frames that have left, as (type, phase)."""
        self._stop: tuple[str, str | None] | None = None
        self._held: list[tuple[str, dict[str, Any]]] = []
        self._waiting: list[_Seen] = []
        self._stopped: list[Deferred[None]] = []
        # The only place that touches what the package keeps to itself.
        self._connector = self.wormhole._boss._RC
        self._send = self._connector._tx
        self._connector._tx = self._tx

    def stop_before(self, kind: str, phase: str | None = None) -> None:
        """Keep back the next frame of this type (and phase) and all that follow it.

        A new connection begins afresh: it is kept back when it comes to the same frame.
        """
        self._stop = (kind, phase)

    def stopped(self) -> Deferred[None]:
        """Return a Deferred that fires when it has come to where it shall stop."""
        waiting: Deferred[None] = Deferred()
        if self._held:
            waiting.callback(None)
        else:
            self._stopped.append(waiting)
        return waiting

    def go_on(self) -> None:
        """Send what was kept back, in order, and stop no more."""
        self._stop = None
        held, self._held = self._held, []
        for kind, fields in held:
            self._let_out(kind, fields)

    def has_sent(self, kind: str, phase: str | None = None) -> Deferred[None]:
        """Return a Deferred that fires when such a frame has left, now or earlier."""
        waiting: Deferred[None] = Deferred()
        if any(kind == k and phase in (None, p) for k, p in self.sent):
            waiting.callback(None)
        else:
            self._waiting.append(_Seen(kind, phase, waiting))
        return waiting

    def drop_connection(self) -> None:
        """Cut the connection without a goodbye; the stock client soon makes a new one."""
        if self._connector._ws is not None:
            self._connector._ws.transport.abortConnection()

    def vanish(self) -> None:
        """Be gone for good: no goodbye, no new connection."""
        self._connector._connector.stopService()
        self.drop_connection()

    async def close(self) -> str:
        """Close it as the stock client does; return its outcome or raise its error."""
        return await self.wormhole.close()

    def _tx(self, kind: str, **fields: Any) -> None:
        if kind == "bind":  # the first frame of every connection
            self._held.clear()
        if self._held or self._shall_stop(kind, fields.get("phase")):
            self._held.append((kind, fields))
            stopped, self._stopped = self._stopped, []
            for waiting in stopped:
                waiting.callback(None)
        else:
            self._let_out(kind, fields)

    def _shall_stop(self, kind: str, phase: str | None) -> bool:
        return self._stop is not None and self._stop[0] == kind and self._stop[1] in (None, phase)

    def _let_out(self, kind: str, fields: dict[str, Any]) -> None:
        self._send(kind, **fields)
        phase = fields.get("phase")
        self.sent.append((kind, phase))
        fired = [seen for seen in self._waiting if seen.is_about(kind, phase)]
        self._waiting = [seen for seen in self._waiting if seen not in fired]
        for seen in fired:
            seen.arrived.callback(None)
