"""Filling a mailbox that a server has forgotten with messages that lie elsewhere.

A flow's messages that are done are kept in rows of the database, and not in its document. Those
that the mailbox lacks are looked up a few at a time, and then `wanted` adds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast.core.exchange import Exchange
from holdfast.core.wanted import absent
from holdfast.shell.alive import Life
from holdfast.shell.conversation import Conversation
from holdfast_journal import DatabaseAway

FETCHED_AT_ONCE: Final = 64
"""Messages that are looked up together."""


def lacking(exchange: Exchange, conversation: Conversation) -> Sequence[int]:
    """Return the numbers of the messages that are to be looked up now."""
    if conversation.fetching:
        return ()
    return absent(exchange, conversation.said)[:FETCHED_AT_ONCE]


@frozen
class Refill:
    """One look-up, and what becomes of it.

    Args:
        kept: looks messages up, by their numbers.
        numbers: which.
        conversation: where the server lacks them.
        life: whether the wormhole continues.
        speak: says what is to be said, once they are there.
        broken: called with the failure of a look-up that cannot be made good.
    """

    kept: Callable[[Sequence[int]], Deferred[Mapping[int, bytes]]]
    numbers: Sequence[int]
    conversation: Conversation
    life: Life
    speak: Callable[[], object]
    broken: Callable[[Failure], object]

    def begin(self) -> None:
        """Look them up."""
        if not self.life.is_over:
            self.kept(self.numbers).addCallback(self._found).addErrback(self._not_found)

    def _found(self, found: Mapping[int, bytes]) -> None:
        self.conversation.fetching = False
        if self.conversation.is_open:
            self.conversation.said.fetched.update((n, body.hex()) for n, body in found.items())
            self.speak()

    def _not_found(self, failure: Failure) -> None:
        if self.life.is_over:
            return
        if failure.check(DatabaseAway):
            # The next conversation asks again.
            self.conversation.drop("what the mailbox lacks cannot be read now")
        else:
            self.broken(failure)
