"""When to give up on a server, because no other connection to it would get further."""

from __future__ import annotations

from typing import Final

from holdfast.core import events as ev
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Add
from holdfast.rendezvous.boundaries import ConnectionEnded, Fault
from holdfast.rendezvous.wire import write
from holdfast.shell.conversation import Conversation

MOST_CUT_CLOSINGS: Final = 5
"""Connections that may be lost between our closing and its answer before we call it an answer."""

MOST_CUTS: Final = 10
"""Connections in a row that may end at the same message before we call that an answer. The pauses
between them grow, so that a server has more than a minute to recover."""


class GivingUp:
    """Counts the connections of one wormhole that ended at the same message.

    Args:
        exchange: its state, to look at.
    """

    __slots__ = ("_cut_closings", "_exchange", "_place", "_times")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._cut_closings = 0
        self._place: str | None = None
        self._times = 0

    def closing_was_cut(self) -> ev.ServerMisbehaved | None:
        """Return what to say of a server that has not answered a closing; some never do.

        If the other side has closed without releasing its nameplate, the stock server cuts the
        connection of the last side that closes, every time.
        """
        self._cut_closings += 1
        if self._cut_closings < MOST_CUT_CLOSINGS:
            return None
        return ev.ServerMisbehaved("the server cuts every connection on which we close")

    def stuck(
        self, conversation: Conversation | None, reason: ConnectionEnded
    ) -> ev.ServerMisbehaved | None:
        """Return what to say of a server whose connections always end at the same message."""
        place = self._stuck_at(conversation, reason)
        self._times = self._times + 1 if place == self._place else 1
        self._place = place
        if place is None:
            return None
        if reason.fault is Fault.TOO_LONG_FOR_THEM:
            return ev.ServerMisbehaved(f"the server does not take {place}: {reason.reason}")
        if self._times < MOST_CUTS:
            return None
        return ev.ServerMisbehaved(
            f"{self._times} connections in a row ended at {place}: {reason.reason}"
        )

    def _stuck_at(self, conversation: Conversation | None, reason: ConnectionEnded) -> str | None:
        """Return what a connection ended at, in words, if it got as far as one can without it.

        A server whose disk is full serves no client, and we wait for it. If a server has just shown
        us the whole mailbox, and is gone at our next message, it may refuse that message.
        """
        if reason.fault is Fault.UNACCEPTABLE:
            return "what the server sends"
        if conversation is None or not (conversation.has_added and conversation.said.caught_up):
            return None
        sent = self._exchange.outbox.data.sent
        first = next((message for message in sent if not message.echoed), None)
        if first is None:
            return None
        size = len(write(Add(first.phase, first.body), "0000"))
        return f"our message {first.phase!r} of {size:,} bytes"
