"""What `send` and `receive` show of a file while it moves, from what its flow publishes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from attrs import define, field

from holdfast.cli.asking import sized
from holdfast.cli.pace import Pace, line
from holdfast.cli.status_line import StatusLine
from holdfast.operating.printable import printable
from holdfast.transfer.names import shown
from holdfast.transfer.throttle import ITS_TURN
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

_ROUTE: Final = re.compile(r"(?P<tor>tor)?(?P<way>->relay:|->|<-)tcp:(?P<place>.+)")
_WAYS: Final = {"->": "directly to", "<-": "directly from", "->relay:": "through the relay"}


def route_in_words(route: str) -> str:
    """Return where a connection leads, which transit says as the stock client does."""
    match = _ROUTE.fullmatch(route)
    if match is None:
        return printable(route, 200)
    tor = ", by Tor" if match["tor"] else ""
    return f"{_WAYS[match['way']]} {printable(match['place'], 200)}{tor}"


@define(eq=False)
class Transfer:
    """Tells each thing once, and how far it is in a line that changes.

    Args:
        role: which end this is.
        status: the line that changes.
        quiet: whether somebody is asked something, so that nothing may be in the way.
    """

    role: Literal["sender", "receiver"]
    status: StatusLine = field(factory=StatusLine)
    quiet: Callable[[], bool] = lambda: False
    _pace: Pace = field(factory=Pace, init=False)
    _introduced: bool = field(default=False, init=False)
    _route: object = field(default=None, init=False)
    _waiting: object = field(default=None, init=False)

    def continues(self, row: FlowRow) -> None:
        """An earlier process came so far: its connection is none of ours."""
        self._route = (row.published or {}).get("route")

    def show(self, row: FlowRow, now: float) -> None:
        """Show what is new.

        Args:
            row: the flow.
            now: seconds of a monotonic clock.
        """
        published = row.published or {}
        if row.finished_at is not None:
            self.status.clear()
            return
        self._introduce(published)
        self._tell_of_the_connection(published)
        if self.status.terminal and not self.quiet():
            self.status.show(self._now(row, published, now))

    def _introduce(self, published: Mapping[str, object]) -> None:
        """Tell the sender what was found: the recipient may compare it."""
        size, digest = published.get("size"), published.get("sha256")
        if self.role == "sender" and isinstance(size, int) and not self._introduced:
            self._introduced = True
            self.status.print(f"{shown(str(published.get('file')))}: {sized(size)}")
            self.status.print(f"sha256: {digest}")

    def _tell_of_the_connection(self, published: Mapping[str, object]) -> None:
        waiting, route = published.get("waiting"), published.get("route")
        if waiting and not self._waiting:
            again = "" if waiting == ITS_TURN else "; trying again"
            self.status.print(f"waiting: {printable(str(waiting), 300)}{again}")
        elif route and not waiting and (self._waiting or route != self._route):
            self.status.print(f"connected {route_in_words(str(route))}")
            self._pace = Pace()  # the time without a connection does not count
        self._waiting, self._route = waiting, route

    def _now(self, row: FlowRow, published: Mapping[str, object], now: float) -> str:
        """Return what goes on at this moment, in words or figures, or ""."""
        size, moved = published.get("size"), published.get("moved") or 0
        if waiting := published.get("waiting"):
            return f"waiting for {ITS_TURN if waiting == ITS_TURN else 'the other side'}"
        if not published.get("route") or not isinstance(size, int) or not isinstance(moved, int):
            return self._before(row, published)
        if moved >= size:
            return (
                "everything was sent; the recipient is saving it"
                if self.role == "sender"
                else "everything has arrived; saving it"
            )
        rate = self._pace.rate(now, moved)
        return line(str(published.get("file")), moved, size, rate, self.status.room)

    def _before(self, row: FlowRow, published: Mapping[str, object]) -> str:
        """Return what goes on before there is a connection."""
        if self.role == "receiver":
            if "accepted" in published:
                return "connecting to the sender"
            return "waiting for the sender" if row.status != FlowStatus.EXCHANGING else ""
        if published.get("sent"):
            return "connecting to the recipient"
        if "size" not in published:
            return "reading what will be sent"
        if row.status == FlowStatus.EXCHANGING:
            return "the recipient is asked whether to accept it"
        return "waiting for the recipient"
