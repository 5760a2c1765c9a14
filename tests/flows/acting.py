"""What takes the place of the activity of a file's flow, and a peer of either kind."""

from __future__ import annotations

import json
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast.api import create
from holdfast.flows.activities import Session
from holdfast.testing import Peer
from holdfast.testing.network import URL, Network
from holdfast.transfer import APPID, messages
from holdfast.transit import hints

HINTS = hints.encode([hints.DirectHint("192.0.2.7", 4001)])
"""Where the peer is."""


@define(eq=False)
class Acting:
    """What an activity was told, and reports."""

    session: Session
    wanted: list[Any] = field(factory=list)
    stopped: bool | None = None
    """Whether for good, if it was."""

    @property
    def stage(self) -> str:
        """How far the flow is, as it has told."""
        return str(self.wanted[-1].stage)

    def wants(self, details: Any) -> None:
        self.wanted.append(details)

    def stop(self) -> None:
        self.stopped = False

    def clear(self, details: Any, *, failed: bool) -> None:
        self.wanted.append(details)
        self.stopped = True

    def report(self, what: str, value: Any) -> Deferred[None]:
        return self.session.report(what, value)

    def listens(self, port: int | None = None) -> None:
        """It listens where it was told to, or on `port`."""
        port = port or self.wanted[-1].reach.port or 5001
        where = hints.encode([hints.DirectHint("192.0.2.1", port)])
        self.report("listening", {"port": port, "hints": where})


class Client(Peer):
    """A client with versions of its own: none, or those of a Holdfast."""

    def __init__(self, network: Network, *, resumes: bool) -> None:
        super().__init__(network, APPID)
        self.wormhole.abandon()
        versions = messages.VERSIONS if resumes else {}
        self.wormhole = create(APPID, URL, network.clock, delegate=self, versions=versions)

    def say(self, value: object) -> None:
        """Send JSON, or bytes as they are."""
        self.send(value if isinstance(value, bytes) else json.dumps(value).encode())

    @property
    def heard(self) -> list[Any]:
        """What it heard, as JSON."""
        return [json.loads(message) for message in self.messages]

    def heard_of(self, key: str) -> list[Any]:
        """Everything that it heard under `key`."""
        return [each[key] for each in self.heard if key in each]
