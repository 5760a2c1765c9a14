"""All subchannels of a wormhole: who listens, who gets what comes, and what waits for a listener.

The ledger knows which channels there are; here are the protocols that have them in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from attrs import frozen

from holdfast.dilation.channel import Subchannel, SubchannelAddress, check
from holdfast.dilation.entries import Entries
from holdfast.dilation.ledger import Channel, Ended, Ledger, Opened, Planned, Received
from holdfast.dilation.producers import Producers
from holdfast.errors import EndpointUsedError, WormholeClosed


@frozen
class _Listener:
    """Who makes protocols, and who is told of each."""

    factory: Any
    connected: Callable[[Any], object] | None = None

    def tell(self, what: str) -> None:
        """Tell the factory that it is used from now on, or no longer, as Twisted's ports do."""
        method = getattr(self.factory, what, None)
        if method is not None:
            method()


class Channels:
    """The subchannels.

    Args:
        ledger: their numbers, and what they have sent.
        entries: where protocols are called.
        is_full: whether producers should write no more.
        expected: the names that the application will listen for; None if any may be.
    """

    def __init__(
        self,
        ledger: Ledger,
        entries: Entries,
        is_full: Callable[[], bool],
        expected: Collection[str] | None = None,
    ) -> None:
        self._ledger = ledger
        self._entries = entries
        self._expected = expected
        self._listeners: dict[str, _Listener] = {}
        self._open: dict[int, Subchannel] = {}
        self._old = set(ledger.channels)
        """Those that an earlier process had."""
        self._ending: dict[Subchannel, Exception] = {}
        """Those that are over, except that the peer does not have all that is planned."""
        self._is_closing = False
        self._lost: Exception | None = None
        """Why there are no subchannels any more."""
        self.unblocked: Callable[[], None] = lambda: None
        """Is called when held records are gone, or a plan has its maker again."""
        self.producers = Producers(is_full, self._wake)

    # What applications ask for.

    def connect(self, name: str, factory: Any) -> Any:
        """Open a subchannel and return its protocol.

        Raises:
            WormholeClosed: the wormhole has begun to close.
        """
        if self._is_closing:
            raise WormholeClosed
        channel = self._ledger.channels[self._ledger.open(name)]
        self._entries.commit()
        return self._attach(channel, _Listener(factory))

    def listen(
        self, name: str, factory: Any, connected: Callable[[Any], object] | None = None
    ) -> None:
        """Let `factory` make the protocols of the peer's subchannels of that name.

        Args:
            name: the subprotocol.
            factory: makes them.
            connected: is told of each, once it has its subchannel.

        Raises:
            EndpointUsedError: somebody listens for that name already.
        """
        if name in self._listeners:
            raise EndpointUsedError(f"somebody listens for {name!r} already")
        listener = self._listeners[name] = _Listener(factory, connected)
        listener.tell("doStart")
        self._attach_all(name, listener, ours=False)

    def stop_listening(self, name: str) -> None:
        """Let what the peer opens from now on wait again."""
        listener = self._listeners.pop(name, None)
        if listener is not None:
            listener.tell("doStop")

    def resume(self, name: str, factory: Any) -> list[Any]:
        """Let `factory` make the protocols of subchannels that we opened in an earlier process."""
        return self._attach_all(name, _Listener(factory), ours=True)

    # What the peer does; inside an entry.

    def opened(self, taken: Opened) -> None:
        """The peer has opened a channel."""
        channel = taken.channel
        self._old.discard(channel.number)  # it may use a number again
        listener = self._listeners.get(channel.name)
        is_unexpected = self._expected is not None and channel.name not in self._expected
        if self._is_closing or (listener is None and is_unexpected):
            self._ledger.refuse(channel.number)
        elif listener is not None:
            self._attach(channel, listener)

    def holds(self, scid: int) -> bool:
        """Whether a record that came for this channel now would have to be held."""
        channel, subchannel = self._ledger.channels.get(scid), self._open.get(scid)
        if channel is None or channel.in_closed:
            return False
        return subchannel is None or (subchannel.is_paused and not subchannel.is_over)

    def received(self, taken: Received) -> None:
        """A record has come."""
        channel = taken.channel
        subchannel = self._open.get(channel.number)
        if subchannel is None:  # not yet: also a direction that we have closed before we died
            self._ledger.hold(channel, taken.data)
        elif subchannel.is_over:
            return
        elif subchannel.is_paused or channel.held:
            self._ledger.hold(channel, taken.data)
        else:
            subchannel.got_data(taken.data)

    def ended(self, taken: Ended) -> None:
        """The peer has closed its direction."""
        channel = taken.channel
        subchannel = self._open.get(channel.number)
        if subchannel is None:
            return  # whoever gets it is told
        if subchannel.is_over:
            self._forget(subchannel)
        elif not channel.held and not subchannel.is_paused:
            subchannel.got_close()

    # What subchannels ask for (see `ChannelOwner`).

    def write(self, subchannel: Subchannel, data: bytes) -> None:
        """Send a record."""
        self._ledger.write(subchannel.channel.number, data)
        self._entries.commit()
        self.producers.wrote(subchannel)

    def plan(self, subchannel: Subchannel, plan: Any, count: int, size: int) -> None:
        """Send `count` records of about `size` bytes that the protocol makes."""
        self._ledger.plan(subchannel.channel.number, plan, count, size)
        self._entries.commit()
        self.producers.wrote(subchannel)

    def close(self, subchannel: Subchannel) -> None:
        """Send our CLOSE."""
        self._ledger.close(subchannel.channel.number)
        self._entries.commit()

    def soon(self, call: Callable[[], object]) -> None:
        """Make `call` inside a journal entry, later."""
        self._entries.soon(call)

    def register(self, subchannel: Subchannel, producer: Any, *, streaming: bool) -> None:
        """`producer` writes to it from now on."""
        self.producers.register(subchannel, producer, streaming=streaming)

    def unregister(self, subchannel: Subchannel) -> None:
        """Its producer writes no more."""
        self.producers.unregister(subchannel)

    def resumed(self, subchannel: Subchannel) -> None:
        """Its protocol wants more."""
        if subchannel.channel.held or subchannel.channel.in_closed:
            self._entries.soon(partial(self._drain, subchannel))
        else:
            self.unblocked()

    def end(self, subchannel: Subchannel, reason: Exception) -> None:
        """Tell its protocol that it is over, as soon as its plans need it no more."""
        if subchannel.channel.planned:
            self._ending.setdefault(subchannel, reason)
        else:
            subchannel.lose(reason)

    def over(self, subchannel: Subchannel) -> None:
        """Its protocol is to hear no more."""
        if self._ledger.release(subchannel.channel):
            self.unblocked()
        self._forget(subchannel)
        self.unblocked()

    # The rest.

    def acknowledged(self) -> None:
        """The peer has more of what was planned."""
        done = [each for each in self._ending if not each.channel.planned]
        for subchannel in done:
            self._entries.soon(partial(subchannel.lose, self._ending.pop(subchannel)))

    def make(self, planned: Planned) -> bytes | None:
        """The bytes of a record of a plan; None if nobody can make them yet."""
        subchannel = self._open.get(planned.scid)
        if subchannel is None:
            return None
        try:
            made: bytes = subchannel.protocol.make_record(planned.plan, planned.index)
            check(made)
        except Exception as error:  # noqa: BLE001 - it is raised where it is the application's
            self._entries.soon(partial(_raise, error))
            return None
        return made

    def remember(self) -> None:
        """Ask the protocols for what they have to remember; at the end of an entry."""
        for subchannel in tuple(self._open.values()):
            save = getattr(subchannel.protocol, "save_state", None)
            if save is not None:
                subchannel.channel.state = save()

    def close_all(self) -> None:
        """Close every subchannel; those that nobody has too, and those that are opened later."""
        self._is_closing = True
        for channel in tuple(self._ledger.channels.values()):
            subchannel = self._open.get(channel.number)
            if subchannel is None:
                self._ledger.refuse(channel.number)
            else:
                subchannel.loseConnection()
        self._entries.commit()
        self.unblocked()

    @property
    def are_closed(self) -> bool:
        """Whether we write to none of them any more."""
        return all(channel.out_closed for channel in self._ledger.channels.values())

    def lose_all(self, reason: Exception) -> None:
        """Tell every protocol that its subchannel is over, and later ones; inside an entry."""
        self._lost = reason
        for subchannel in tuple(self._open.values()):
            subchannel.lose(reason)

    def _attach_all(self, name: str, listener: _Listener, *, ours: bool) -> list[Any]:
        made = []
        for channel in tuple(self._ledger.channels.values()):
            is_it = channel.name == name and channel.ours == ours
            if is_it and channel.number not in self._open:
                made.append(self._attach(channel, listener))
        if made:
            self.unblocked()
        return made

    def _attach(self, channel: Channel, listener: _Listener) -> Any:
        address = SubchannelAddress(
            channel.name,
            channel.number,
            channel.number in self._old,
            channel.received - len(channel.held),
            channel.state,
        )
        subchannel = Subchannel(self, channel, address)
        self._open[channel.number] = subchannel
        protocol = listener.factory.buildProtocol(address)
        if protocol is None and channel.planned:
            raise RuntimeError("a subchannel with a plan needs its protocol")
        if protocol is None:
            subchannel.is_over = subchannel.was_told = True
            self.close(subchannel)
            self.over(subchannel)
            return None
        subchannel.connect(protocol)
        if listener.connected is not None:
            listener.connected(protocol)
        lost = self._lost
        if lost is None:
            self.resumed(subchannel)
        else:
            self._entries.soon(partial(subchannel.lose, lost))
        return protocol

    def _drain(self, subchannel: Subchannel) -> None:
        """Hand over what was held; inside an entry."""
        channel = subchannel.channel
        while channel.held and not subchannel.is_paused and not subchannel.is_over:
            subchannel.got_data(self._ledger.release_first(channel))
        self.unblocked()
        if channel.in_closed and not channel.held and not subchannel.is_paused:
            subchannel.got_close()

    def _forget(self, subchannel: Subchannel) -> None:
        """It is gone, if neither side will say more."""
        channel = subchannel.channel
        if channel.in_closed and channel.out_closed and subchannel.was_told:
            self._open.pop(channel.number, None)
            self._ledger.forget(channel.number)

    def _wake(self) -> None:
        self._entries.soon(self.producers.turns)


def _raise(error: Exception) -> None:
    raise error
