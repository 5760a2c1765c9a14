"""What must be said to a server that has welcomed us.

Being connected is not part of a wormhole's state; wanting to be connected is. So the frames to send
are not remembered anywhere: `wanted` derives them from the state and from what has been said on
this connection. The same function serves the first connection, a reconnection and a restart after a
crash, and after each event it gives the difference that the event made.

Theory of operation
===================

Two values are compared. The `Exchange` survives everything, and says what is to be true on the
server: a nameplate claimed, a mailbox that holds all our messages, or both given back. `Said`
belongs to one connection: what was said and shown there. It is thrown away with the connection,
and the next one begins with an empty one, so a lost connection and a crash are the same case, and
neither has code of its own.

`wanted` returns the frames that are missing, and changes nothing. The shell passes each to
`Said.note` and sends it behind the commit; asked again, `wanted` returns nothing, until an event
changes the state. A frame is never remembered as unanswered: its answer changes the state, and
without one the next connection says it again. A server bears that: a second claim, `open`,
release or `close` of one side changes nothing, and a second `allocate` costs a nameplate, which is
forgotten in time. But some peers fail on a phase that comes twice, so `add` needs more care:

    open, ping                we ask for all that the mailbox holds ...
    message, message, ... ... the server replays it (`Said.hear`) ...
    pong                      ... and that was all: the barrier, `Said.caught_up`.
    add, add, ... what was not among it

Before the barrier nothing is added. It is passed without waiting if this connection's own claim
told us the mailbox: then we cannot have put anything there.

At the barrier the shell asks two more questions. `missing`: is the mailbox empty, as if the server
had forgotten it? `absent`: which of the missing messages are kept outside the exchange, and must
be fetched first? And after each event it asks `used_up`: does what is wanted need another
connection, because this one has already opened or closed another mailbox?

The rules of order are with `wanted` itself. What the frames mean is specified in
server-protocol.md: `bind` and `ping` in "Connection-Specific (Client-to-Server) Messages", the
others in "Nameplates" and "Mailboxes". The rules are not there: they were learnt from the real
server, as was what it forgets.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from holdfast.core.events import MessageArrived
from holdfast.core.exchange import Exchange
from holdfast.core.frames import (
    Add,
    Allocate,
    Bind,
    Claim,
    CloseMailbox,
    Frame,
    ListNameplates,
    Open,
    Ping,
    Release,
)
from holdfast.core.messages import dilation_number, dilation_phase, number_of
from holdfast.core.outbox import Outbox


@define
class Said:
    """What was said and heard on one connection; thrown away with it.

    Args:
        once: the types of the frames that a server accepts only once per connection.
        caught_up: whether we know all that the mailbox held when we opened it.
        there: phases of ours that are in the mailbox, or on their way to it.
        filled: the application's messages with smaller numbers are there too.
        filled_dilations: and those of our dilation.
        fetched: messages (hex) that were kept elsewhere and are to be added again, by number.
        mailboxes: those that were opened or closed.
    """

    once: tuple[type, ...] = ()
    caught_up: bool = False
    there: set[str] = field(factory=set)
    filled: int = 0
    filled_dilations: int = 0
    fetched: dict[int, str] = field(factory=dict, repr=False)
    mailboxes: tuple[str, ...] = ()

    def note(self, frame: Frame) -> None:
        """Remember that `frame` is on its way."""
        if isinstance(frame, Add):
            self.there.add(frame.phase)
            number = number_of(frame.phase)
            if number is not None:
                self.fetched.pop(number, None)
            return
        self.once += (type(frame),)
        if isinstance(frame, Open | CloseMailbox):
            self.mailboxes += (frame.mailbox,)
        if isinstance(frame, Open):
            # If the mailbox was not known to us before this connection's claim was answered, we
            # cannot have put anything into it.
            self.caught_up = Claim in self.once

    def hear(self, event: MessageArrived, exchange: Exchange) -> None:
        """Remember that a message of ours is in the mailbox, if `event` shows one."""
        # A phase that we never sent must not cost us memory.
        if event.side == exchange.side and exchange.outbox.data.has(event.phase):
            number, dilation = number_of(event.phase), dilation_number(event.phase)
            filled = max(self.filled_dilations, exchange.outbox.data.dilations_seen)
            if (number is None or number >= self.filled) and (
                dilation is None or dilation >= filled
            ):
                self.there.add(event.phase)

    def compact(self, exchange: Exchange) -> None:
        """Forget what the mailbox certainly holds, which would cost time at every event."""
        outbox = exchange.outbox.data
        if (self.filled, self.filled_dilations) == (outbox.done, outbox.dilations_done):
            return  # as at nearly every event
        if not self.caught_up or not _fills(exchange, self) or absent(exchange, self):
            return
        self.filled = outbox.done
        self.filled_dilations = outbox.dilations_done
        self.there.intersection_update(message.phase for message in outbox.sent)


def wanted(exchange: Exchange, said: Said) -> tuple[Frame, ...]:
    """Return the frames to send now, in order. Changes nothing.

    It holds four rules of order, which were learnt from the real server:

    - A nameplate is released, and that confirmed, before the mailbox is closed; otherwise the
      server cuts the connection at every attempt to close.
    - After `open` comes a `ping`; its `pong` arrives behind the whole replay. Only then is it
      known which of our messages the server lacks, and no others are added.
    - Every frame but `add`, `ping` and `list` is said once per connection; a second is an error.
    - A mailbox that the server has forgotten is closed before its nameplate is claimed again, since
      closing takes our name off every nameplate.
    """
    if exchange.ended:
        return ()
    frames: list[Frame] = []
    if Bind not in said.once:
        frames.append(Bind(exchange.appid, exchange.side))
    if Allocate not in said.once and exchange.code.is_in("wanted", "asked"):
        frames.append(Allocate())
    nameplate = exchange.nameplate
    if Claim not in said.once and nameplate.is_in("wanted", "claiming"):
        frames.append(Claim(nameplate.data.nameplate))
    frames.extend(_fill_mailbox(exchange, said))
    if Release not in said.once and nameplate.is_in("releasing", "yielding"):
        frames.append(Release(nameplate.data.nameplate))
    mailbox = exchange.mailbox
    if (
        mailbox.state == "closing"
        and nameplate.is_in("none", "released", "doubtful", "lost", "yielded")
        and (nameplate.state == "yielded" or not exchange.outbox.data.undelivered)
        and CloseMailbox not in said.once
    ):
        frames.append(CloseMailbox(mailbox.data.mailbox, mailbox.data.mood))
    if _is_to_be_looked_up(exchange, said):
        # A number of our own may turn out to be taken: then another is sought on the same list.
        own = bool(exchange.code.data.digits)
        frames.append(ListNameplates(None if own else nameplate.data.nameplate))
    return tuple(frames)


def _is_to_be_looked_up(exchange: Exchange, said: Said) -> bool:
    """Whether to ask, now, who has our nameplate."""
    if exchange.nameplate.state == "yielded":
        # After our own release, and after our closing, which would undo a claim that follows.
        asked = said.once[said.once.index(Release) :] if Release in said.once else said.once
        return exchange.mailbox.state != "closing" and ListNameplates not in asked
    return exchange.nameplate.state == "doubtful" and ListNameplates not in said.once


def missing(exchange: Exchange, said: Said) -> bool:
    """Whether the mailbox, opened as the one that we knew, turned out to be empty.

    Asked at the barrier, once per connection. Single messages are never removed from a mailbox. So
    if something of ours had been stored, the server has forgotten the mailbox; if not, it may have.
    If something of the peer's is there, or was there before, the nameplate has done its work, and
    both sides know the mailbox: then it is simply filled again.
    """
    return (
        exchange.nameplate.state == "claimed"
        and exchange.mailbox.state == "open"
        and said.caught_up
        and not said.there
        and Claim not in said.once
        and ListNameplates not in said.once
    )


def absent(exchange: Exchange, said: Said) -> tuple[int, ...]:
    """Return the numbers of messages that the mailbox lacks and that are kept elsewhere.

    The caller that keeps them puts them into `Said.fetched`, and asks `wanted` again.
    """
    numbers = range(said.filled, exchange.outbox.data.kept)
    if not numbers or not said.caught_up or not _fills(exchange, said):
        return ()
    return tuple(n for n in numbers if str(n) not in said.there and n not in said.fetched)


def used_up(exchange: Exchange, said: Said) -> bool:
    """Whether only another connection can open, close or release what is ours.

    This one has done that to another already.
    """
    once, mailbox = said.once, exchange.mailbox
    given_back = Release in once and Claim in once[once.index(Release) :]
    if given_back and exchange.nameplate.is_in("claimed", "releasing"):
        return True
    if CloseMailbox in once and mailbox.state == "open":
        return True
    others = [each for each in said.mailboxes if each != mailbox.data.mailbox]
    return bool(others) and mailbox.is_in("open", "closing")


def _fill_mailbox(exchange: Exchange, said: Said) -> list[Frame]:
    """Open the mailbox and put into it what is not there."""
    if not _fills(exchange, said):
        return []
    frames: list[Frame] = []
    caught_up = said.caught_up
    if Open not in said.once:
        frames.append(Open(exchange.mailbox.data.mailbox))
        if Claim in said.once:
            caught_up = True
        else:
            frames.append(Ping())
    if caught_up:
        outbox = exchange.outbox.data
        lacking = [message for message in outbox.sent if message.phase not in said.there]
        first = ("pake", "version")
        frames.extend(Add(each.phase, each.body) for each in lacking if each.phase in first)
        frames.extend(_done(outbox, said))
        frames.extend(Add(each.phase, each.body) for each in lacking if each.phase not in first)
    return frames


def _fills(exchange: Exchange, said: Said) -> bool:
    """Whether the mailbox, of this connection, is to hold all that we have said."""
    state = exchange.mailbox.state
    if state != "open" and not (state == "closing" and exchange.outbox.data.undelivered):
        return False
    if exchange.nameplate.is_in("doubtful", "yielding", "yielded"):
        return False
    return not used_up(exchange, said)


def _done(outbox: Outbox, said: Said) -> Iterator[Frame]:
    """What the server had and has forgotten, as far as it is at hand."""
    for number in range(said.filled, outbox.done):
        body = outbox.body(number) or said.fetched.get(number)
        if body is not None and str(number) not in said.there:
            yield Add(str(number), body)
    first = max(said.filled_dilations, outbox.dilations_seen)
    for number, body in enumerate(outbox.dilations[first - outbox.dilations_seen :], first):
        if (phase := dilation_phase(number)) not in said.there:
            yield Add(phase, body)
