"""What a file's flow wants of the activity that carries the file; see `holdfast.flows.activities`.

The activity of a sender is called "sending", that of a receiver "receiving". A flow gives it one of
these values, and hears of what happens through its own methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import define, field, frozen

from holdfast.transfer import messages
from holdfast.transfer.sources import Source
from holdfast.transit import hints

TRANSIT_PURPOSE: Final = "lothar.com/wormhole/text-or-file-xfer/transit-key"
"""What the transit key is derived for; the same for every application id, as the stock clients
have it."""

Stage: TypeAlias = Literal["reachable", "accepted", "going", "landed"]
"""How far the two sides are.

- `reachable`: we listen, and say where; nothing is decided.
- `accepted`: the receiver wants it: find a connection.
- `going`: a connection was chosen, and the other side may know. A stock client takes no second one.
- `landed`: the receiver has everything where it belongs, and the sender should hear so.
"""


@define
class Ways:
    """How this machine may be reached.

    Args:
        relays: transit relays, as `HOST:PORT`.
        listen: whether the peer may connect to this machine directly.
        port: the TCP port for that; 0 for any that is free.
    """

    relays: list[str] = field(factory=list)
    listen: bool = True
    port: int = 0


@define
class Reachable:
    """What the two sides have told each other of where they are.

    Args:
        resumes: whether the peer is a Holdfast, which goes on after a break; None until it is
            there.
        port: the TCP port on which we listen; 0 if that is not known yet.
        said: our hints, as the peer has them.
        told: whether it has them, which may be none.
        theirs: the peer's, as far as they can be used.
    """

    resumes: bool | None = None
    port: int = 0
    said: list[dict[str, Any]] = field(factory=list, repr=False)
    told: bool = False
    theirs: list[dict[str, Any]] = field(factory=list, repr=False)

    def hear(self, said: messages.Transit) -> None:
        """The peer says where it is. A stock client does so once."""
        if self.resumes or not self.theirs:
            self.theirs = hints.encode(hints.parse(said.hints))

    def listens(self, where: Mapping[str, Any]) -> bytes | None:
        """We listen; return what the peer must hear of it, if anything.

        A stock client would not take our hints a second time.
        """
        if self.told and not self.resumes:
            return None  # it still knows the port of before, which may be free again next time
        again = self.told and where["hints"] == self.said
        self.told, self.port, self.said = True, where["port"] or 0, where["hints"]
        if again:
            return None
        return messages.transit(hints.abilities(), self.said)

    def reach(self, key: bytes, ways: Ways) -> Reach:
        """Return what the activity needs of this."""
        return Reach(
            key,
            self.port or ways.port,
            ways.listen,
            tuple(ways.relays),
            tuple(self.theirs),
            resumes=bool(self.resumes),
        )


@frozen
class Reach:
    """How the two sides can find each other.

    Args:
        key: the transit key, 32 bytes.
        port: the TCP port to listen on, if it is known already; 0 for any that is free.
        listen: whether to listen at all.
        relays: transit relays of our own, as `HOST:PORT`.
        theirs: the peer's hints as it said them.
        resumes: whether the peer is a Holdfast, which goes on after a break.
    """

    key: bytes = field(repr=False)
    port: int
    listen: bool
    relays: tuple[str, ...]
    theirs: tuple[dict[str, Any], ...] = field(repr=False)
    resumes: bool


@frozen
class Sending:
    """What a sender wants.

    Args:
        stage: how far the two sides are.
        reach: how they find each other.
        paths: what is sent.
        source: what was measured of it, and offered.
        moved: about how many bytes have left.
        place: of the private file that it is, to be removed in the end; "" if it is none.
    """

    stage: Stage
    reach: Reach
    paths: tuple[Path, ...]
    source: Source = field(repr=False)
    moved: int = 0
    place: str = ""


@frozen
class Target:
    """Where something that is received belongs.

    Args:
        directory: where it will be.
        name: what it will be called there.
        free: the same, or another name if that exists already.
        overwrite: whether a file of that name may be replaced.
    """

    directory: str
    name: str = field(repr=False)
    free: str = field(repr=False)
    overwrite: bool = field(default=False, kw_only=True)


@frozen
class Receiving:
    """What a receiver wants.

    Args:
        stage: how far the two sides are.
        reach: how they find each other.
        offer: what comes.
        target: where it belongs.
        durable: how many bytes are known to be on the disk.
        sha256: of what has landed; "" if it has not, or that is not known.
    """

    stage: Stage
    reach: Reach
    offer: messages.Offer
    target: Target
    durable: int
    sha256: str = ""
