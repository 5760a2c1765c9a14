"""What crosses the links, one after another: each record to whom it concerns."""

from __future__ import annotations

from typing import Final, Protocol

from holdfast.dilation.channels import Channels
from holdfast.dilation.entries import Entries, Host
from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.greeting import NoiseGreeting
from holdfast.dilation.ledger import Ledger
from holdfast.dilation.level import Level
from holdfast.dilation.link import Link
from holdfast.dilation.pulse import Pulse
from holdfast.dilation.receiving import Receiving
from holdfast.dilation.records import Ack, Close, Data, Kcm, Open, Ping, Pong, read
from holdfast.dilation.sending import Sending
from holdfast.transit.contest import Link as Socket

PING_LENGTH: Final = 4

NUMBERED: Final = (Data, Open, Close)


class TrafficOwner(Protocol):
    """Is told what happens to the links."""

    def lost(self, *, useful: bool, wrong: bool) -> None:
        """The link is gone.

        Args:
            useful: whether anything came through.
            wrong: whether it was broken off because the other side did something wrong.
        """
        ...

    def acknowledged(self) -> None:
        """The peer has taken more."""
        ...


class Traffic:
    """Sends and receives over one link after another.

    Args:
        owner: is told what happens to them.
        host: the wormhole.
        ledger: what is sent, and what has come.
        entries: where records are taken.
        channels: get them.
        level: how much waits.
        ping_interval: seconds.
    """

    def __init__(
        self,
        owner: TrafficOwner,
        host: Host,
        ledger: Ledger,
        entries: Entries,
        channels: Channels,
        level: Level,
        ping_interval: float,
    ) -> None:
        self._owner = owner
        self._host = host
        self._ledger = ledger
        relieve = channels.producers.relieve
        self.sending = Sending(ledger, host.clock, channels.make, level, relieve)
        self.receiving = Receiving(ledger, host, entries, channels, self._came_again)
        self._pulse = Pulse(host.clock, ping_interval, self._ping)
        self._link: Link | None = None
        self._useful = False

    @property
    def link(self) -> Link | None:
        """The connection, if there is one."""
        return self._link

    def begin(self, socket: Socket) -> None:
        """Let records cross this connection."""
        greeting = socket.handshake
        if not isinstance(greeting, NoiseGreeting):
            raise TypeError("a connection of another protocol")
        self.drop()
        link = self._link = Link(self, self._host.clock, greeting.ciphers, socket.describe)
        self._useful = False
        self.receiving.begin(link)
        if self._ledger.leader:
            self._pulse.begin(link)
        socket.attach(link)

    def go_on(self) -> None:
        """Something that waited for the application need not wait any more."""
        self.sending.send()
        self.receiving.take()

    def drop(self) -> None:
        """Abort the link, if there is one; nobody is told."""
        link = self._end()
        if link is not None:
            link.abort()

    def close(self) -> None:
        """Close the link when everything that was written is sent; nobody is told."""
        link = self._end()
        if link is not None:
            link.close()

    # What the link tells (see `LinkOwner`).

    def begun(self, link: Link) -> None:
        """It can be written to."""
        if link is self._link:
            self.sending.begin(link)

    def got(self, link: Link, plaintexts: list[bytes], *, more: bool) -> None:
        """These records came.

        Raises:
            ProtocolError: one of them may not come here.
        """
        if link is not self._link:
            return
        acked, receiving = -1, self.receiving
        self._useful = True
        for plaintext in plaintexts:
            record = read(plaintext)
            if isinstance(record, NUMBERED):
                receiving.add(record)
            elif isinstance(record, Ack):
                acked = max(acked, record.seq)
            elif isinstance(record, Ping):
                self.sending.reply(Pong(record.id))
            elif isinstance(record, Kcm):
                raise ProtocolError("a second key confirmation")
        if acked >= 0:
            self.sending.acknowledged(acked)
            self._owner.acknowledged()
        receiving.added(more=more)

    def has_room(self, link: Link) -> None:
        """More may be written."""
        if link is self._link:
            self.sending.send()

    def is_lost(self, link: Link) -> None:
        """It is gone."""
        if link is self._link:
            self._end()
            self._owner.lost(useful=self._useful, wrong=bool(link.trouble))

    def _end(self) -> Link | None:
        link, self._link = self._link, None
        self.sending.end()
        self.receiving.end()
        self._pulse.end()
        return link

    def _came_again(self) -> None:
        self.sending.owe_ack()
        self.sending.send()

    def _ping(self) -> None:
        self.sending.reply(Ping(self._host.entropy(PING_LENGTH)))
