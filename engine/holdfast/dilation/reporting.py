"""What `on_status_update` of a dilated wormhole is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import evolve
from twisted.logger import Logger

from holdfast.dilation.entries import Host
from holdfast.status import (
    ConnectedPeer,
    ConnectingPeer,
    DilationHint,
    DilationStatus,
    PeerConnection,
    ReconnectingPeer,
)
from holdfast.transit.hints import MOST, DirectHint, Hint

_log = Logger()


class Reporting:
    """Keeps the status, and tells it when it has changed.

    Args:
        host: has the time, and the status of the wormhole.
        ping_interval: seconds.
    """

    def __init__(self, host: Host, ping_interval: float) -> None:
        self._host = host
        self._ping_interval = ping_interval
        self._status = DilationStatus()
        self._was_connected = False
        self.tell: Callable[[Any], object] | None = None
        """Whom to tell."""

    def connecting(self, generation: int | None = None) -> None:
        """An effort to get a connection begins, or has to."""
        now = self._host.clock.seconds()
        peer = ReconnectingPeer(now) if self._was_connected else ConnectingPeer(now)
        if generation is None:
            self._change(peer_connection=peer)
        else:
            self._change(generation=generation, peer_connection=peer, hints=frozenset())

    def hints(self, hints: Iterable[Hint]) -> None:
        """The peer can be reached there; of a great many addresses, the first are told."""
        told = set(self._status.hints)
        for hint in hints:
            is_direct = isinstance(hint, DirectHint)
            for each in (hint,) if isinstance(hint, DirectHint) else hint.hosts:
                if len(told) < MOST:
                    told.add(DilationHint(f"{each.host}:{each.port}", is_direct))
        self._change(hints=frozenset(told))

    def connected(self, describe: str) -> None:
        """There is a connection."""
        self._was_connected = True
        now = self._host.clock.seconds()
        self._change(peer_connection=ConnectedPeer(now, now + 2 * self._ping_interval, describe))

    def peer(self, connection: PeerConnection) -> None:
        """The connection to the peer stands like this."""
        self._change(peer_connection=connection)

    def _change(self, **changes: Any) -> None:
        before, self._status = (
            self._status,
            evolve(self._status, mailbox=self._host.status(), **changes),
        )
        if self.tell is None or self._status == before:
            return
        try:
            self.tell(self._status)
        except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
            # News are not events: if the application fails here, the wormhole continues.
            _log.failure("The application failed while hearing of the connection")
