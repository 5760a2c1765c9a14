"""Connecting to where the other side says that it is: each address once, and within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError, UserError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure

from holdfast.transit.attempt import HANDSHAKE_TIME, Attempt, MadeBy, Way
from holdfast.transit.hints import DirectHint, Hint, RelayHint, is_local, needs_tor
from holdfast.transit.network import Network, Timer

MOST_DIRECT: Final = 50
"""Direct hints of the other side that are dialled."""

MOST_RELAYS: Final = 3
"""Addresses of the other side's relays that are dialled, beside our own."""

RELAY_DELAY: Final = 2.0
"""Seconds by which direct connections are ahead of relays, and relays of those below them."""

Place: TypeAlias = tuple[Way, str, int]
"""What is dialled once: a host and a port, directly or as a relay."""


class Dialling:
    """Opens the sockets of one contest that go out.

    Args:
        network: the network.
        relays: our own, which are dialled the first time that anything is.
        make: makes the attempt of a socket that will open.
        changed: is called when a connection could not be opened.
    """

    def __init__(
        self,
        network: Network,
        relays: Sequence[DirectHint],
        make: Callable[[str, Way], Attempt],
        changed: Callable[[], None],
    ) -> None:
        self._network = network
        self._relays = tuple(relays)
        self._make = make
        self._changed = changed
        self._tried: set[Place] = set()
        self._live: set[Place] = set()
        """Those that wait, are under way or have an open socket."""
        self._room = self._free_room()
        self._under_way: set[Deferred[Any]] = set()
        self._later: set[Timer] = set()
        self._begun = False
        self.reason = "there is no address to connect to"
        """Why the last socket failed."""

    def dial(self, hints: Iterable[Hint]) -> None:
        """Connect to all of these, the relays a little later."""
        self._begun = True
        direct: list[DirectHint] = []
        relays = list(self._relays)
        for hint in hints:
            if isinstance(hint, RelayHint):
                relays += hint.hosts
            else:
                direct.append(hint)
        wait = 0.0
        for each in self._new(direct, "out"):
            self._open(each, "out")
            wait = RELAY_DELAY
        highest: float | None = None
        for each in self._new(relays, "relay"):
            if highest is not None and each.priority < highest:
                wait += RELAY_DELAY
            highest = each.priority
            self._open_later(wait, each)

    def forget(self) -> None:
        """Let each address be dialled once more, except where there is a socket.

        A relay keeps one for as long as the other side does not come.
        """
        self._tried = self._live.copy()
        self._room = self._free_room()

    def has_failed(self) -> bool:
        """Whether something was to be dialled, and nothing is under way any more. Tells it once."""
        failed = self._begun and not self._under_way and not self._later
        self._begun = self._begun and not failed
        return failed

    def note(self, reason: str) -> None:
        """Remember why a socket failed."""
        self.reason = reason

    def stop(self) -> None:
        """Open no more."""
        later, self._later = self._later, set()
        for timer in later:
            timer.cancel()
        for connecting in tuple(self._under_way):
            connecting.cancel()

    def _free_room(self) -> dict[Way, int]:
        """How many more may be opened, beside those that are."""
        relays = sum(way == "relay" for way, _, _ in self._live)
        return {
            "out": MOST_DIRECT - (len(self._live) - relays),
            "relay": MOST_RELAYS + len(self._relays) - relays,
        }

    def _new(self, hints: list[DirectHint], way: Way) -> list[DirectHint]:
        """Those that are to be dialled, in their order; they count as tried from now on."""
        new = []
        for each in sorted(hints, key=lambda hint: -hint.priority):
            key: Place = (way, each.host, each.port)
            elsewhere = is_local(each) if self._network.hides else needs_tor(each)
            if not elsewhere and key not in self._tried and self._room[way]:
                self._tried.add(key)
                self._live.add(key)
                self._room[way] -= 1
                new.append(each)
        return new

    def _open_later(self, wait: float, relay: DirectHint) -> None:
        if not wait:
            self._open(relay, "relay")
            return

        def now() -> None:
            self._later.discard(timer)
            self._open(relay, "relay")

        timer = self._network.clock.callLater(wait, now)
        self._later.add(timer)

    def _open(self, hint: DirectHint, way: Way) -> None:
        key: Place = (way, hint.host, hint.port)
        describe = describe_hint(hint, way, through_tor=self._network.hides)
        attempt = self._make(describe, way)
        attempt.down.addCallback(lambda _: self._live.discard(key))
        clock: Any = self._network.clock
        connecting = self._network.connect(hint.host, hint.port, MadeBy(lambda _: attempt))
        self._under_way.add(connecting)
        connecting.addTimeout(HANDSHAKE_TIME, clock)

        def opened(_: object) -> None:
            self._under_way.discard(connecting)

        def failed(failure: Failure) -> None:
            self._under_way.discard(connecting)
            self._live.discard(key)
            self.note(f"{describe}: {in_words(failure)}")
            self._changed()

        connecting.addCallbacks(opened, failed)


def describe_hint(hint: DirectHint, way: Way, *, through_tor: bool) -> str:
    """Where a socket leads, as the stock client says it."""
    tor, relay = "tor" if through_tor else "", "relay:" if way == "relay" else ""
    return f"{tor}->{relay}{place(hint.host, hint.port)}"


def place(host: str, port: object) -> str:
    """An address and a port, as people write them."""
    return f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"


def in_words(failure: Failure) -> str:
    """Why a connection could not be opened."""
    if failure.check(CancelledError, DeferredTimeout, ConnectTimeout, UserError):
        return "no answer"
    if failure.check(Refused):
        return "refused"
    if failure.check(DNSLookupError):
        return "no such host"
    return "no way there"
