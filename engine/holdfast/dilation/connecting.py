"""Getting a connection: one contest for each generation, hints for the peer, again and again.

A contest of `holdfast.transit` listens, dials and chooses; the peer hears where we are through the
mailbox. As long as there is no connection our hints are told again, and the peer's are dialled
again: a stock peer whose own attempts have all failed does nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from twisted.python.failure import Failure

from holdfast.dilation.alarm import Alarm
from holdfast.dilation.entries import Host
from holdfast.dilation.greeting import NoiseGreeting
from holdfast.dilation.noise import KEY_LENGTH
from holdfast.transit.contest import Candidate, Contest
from holdfast.transit.contest import Link as Socket
from holdfast.transit.errors import TransitError
from holdfast.transit.handshake import Handshake
from holdfast.transit.hints import DirectHint, Hint, RelayHint, limited

FIRST_AGAIN: Final = 10.0
"""Seconds after which hints are told again; each later time it takes twice as long."""

LONGEST_AGAIN: Final = 300.0
"""Seconds between two times at most: each is a message that the mailbox server keeps."""

RELAY_DELAY: Final = 2.0
"""Seconds by which direct connections are ahead of relays. Stock dials its own at once."""


class ConnectingOwner(Protocol):
    """Is told how it goes."""

    def say_hints(self, hints: list[dict[str, Any]]) -> None:
        """Tell the peer where we can be reached."""
        ...

    def connected(self, socket: Socket) -> None:
        """There is a connection."""
        ...


class Connecting:
    """One contest after another.

    Args:
        host: has the network and the key.
        owner: is told how it goes.
        side: our name at relays.
        relays: our own.
        listen: whether the peer may connect to us.
    """

    def __init__(
        self,
        host: Host,
        owner: ConnectingOwner,
        side: str,
        relays: Sequence[DirectHint],
        *,
        listen: bool,
    ) -> None:
        self._host = host
        self._owner = owner
        self._side = side
        self._relays = tuple(relays)
        self._listen = listen and not host.network.hides
        self._contest: Contest | None = None
        self._hints: tuple[Hint, ...] = ()
        """The peer's, of this generation, the latest first."""
        self._again = Alarm(host.clock, self._try_again)
        self._wait = FIRST_AGAIN
        """Seconds before the next time."""
        self._relays_turn = Alarm(host.clock, self._dial_relays)

    def begin(self, *, leader: bool) -> None:
        """Give up what is going on, and begin a contest."""
        self.stop()
        host, key = self._host, self._host.key()

        def greet(at_relay: bool) -> Handshake:  # noqa: FBT001
            side = self._side if at_relay else None
            return NoiseGreeting(
                key, leader=leader, ephemeral=host.entropy(KEY_LENGTH), relay_side=side
            )

        contest = self._contest = Contest(
            host.network,
            None,
            "sender" if leader else "receiver",
            self,
            side=self._side,
            relays=self._relays,
            listen=self._listen,
            greet=greet,
        )
        contest.listen().addCallback(lambda _: self._opened(contest))

    def dial(self, hints: Sequence[Hint]) -> None:
        """The peer can be reached there too."""
        if self._contest is None:
            return
        self._hints = limited((*hints, *self._hints))
        direct = [hint for hint in hints if isinstance(hint, DirectHint)]
        if direct:
            self._contest.dial(direct)
        if len(direct) < len(hints):
            self._relays_turn.set(self._head_start)

    def stop(self) -> None:
        """Give up what is going on."""
        self._again.clear()
        self._relays_turn.clear()
        self._hints = ()
        contest, self._contest = self._contest, None
        if contest is not None:
            contest.stop()

    # What the contest tells (see `ContestOwner`).

    def ready(self, candidate: Candidate) -> None:
        """The first is good enough: relays are dialled late."""
        contest = self._contest
        candidate.choose().addCallbacks(lambda link: self._chosen(contest, link), _ignore)

    def exhausted(self, reason: str) -> None:
        """It is tried again later."""

    @property
    def _head_start(self) -> float:
        """Seconds that relays wait for a direct connection, if there may be one."""
        is_direct = any(isinstance(hint, DirectHint) for hint in self._hints)
        return RELAY_DELAY if self._listen or is_direct else 0.0

    def _opened(self, contest: Contest) -> None:
        if contest is self._contest:
            self._wait = FIRST_AGAIN
            self._tell(contest)
            self._relays_turn.set(self._head_start)

    def _tell(self, contest: Contest) -> None:
        """Tell our hints, and once more after a while."""
        if hints := contest.hints():
            self._owner.say_hints(hints)
        self._again.set(self._wait)

    def _try_again(self) -> None:
        if self._contest is not None:
            self._wait = min(2 * self._wait, LONGEST_AGAIN)
            self._tell(self._contest)
            self._contest.dial_again(self._hints)

    def _dial_relays(self) -> None:
        """The peer's, and our own, which every contest knows."""
        if self._contest is not None:
            self._contest.dial([each for each in self._hints if isinstance(each, RelayHint)])

    def _chosen(self, contest: Contest | None, socket: Socket) -> None:
        if contest is None or contest is not self._contest:
            socket.abort()
            return
        self.stop()
        self._owner.connected(socket)


def _ignore(failure: Failure) -> None:
    """The contest goes on."""
    failure.trap(TransitError)
