"""What a flow has been told of its transfer: each report is a commit, so nothing is told twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

if TYPE_CHECKING:
    from holdfast.flows.activities import Session


@define(eq=False)
class Told:
    """Reports to a flow what is new to it."""

    _session: Session
    moved: int = field(default=0, init=False)
    """How many bytes have moved, which the flow may have only later."""
    _where: dict[str, Any] | None = field(default=None, init=False)
    _waits: str = field(default="", init=False)

    def listens(self, where: dict[str, Any]) -> Deferred[None]:
        """We can be reached here. The Deferred fires when that is durable."""
        if where == self._where:
            return succeed(None)
        self._where = where
        return self._session.report("listening", where)

    def moves(self, moved: int) -> None:
        """So many bytes have moved."""
        self._waits = ""
        self.moved = moved
        self._session.report("moved", moved)

    def waits(self, reason: str) -> None:
        """Why it does not go on."""
        if reason != self._waits:
            self._waits = reason
            self._session.report("waiting", reason)

    def goes_on(self) -> None:
        """It waits no more, which the flow hears by something else."""
        self._waits = ""
