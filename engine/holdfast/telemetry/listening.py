"""Where a service is asked: the operator's words, and the port that is bound."""

from __future__ import annotations

import re
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from holdfast.operating.refused import Refused
from holdfast.server.address import endpoint, http_url
from holdfast.server.errors import AddressUnusable
from holdfast.server.listening import unusable

_PORT = re.compile(r":?(\d{1,5})")


@define(eq=False)
class Door:
    """An address that is bound, and answers once the reactor runs."""

    port: Any
    where: str
    """Its URL, or the path of its socket."""

    @classmethod
    def open(cls, reactor: Any, address: str, factory: Factory) -> Door:
        """Bind `address`.

        Args:
            reactor: Twisted's.
            address: what `holdfast.server.address.endpoint` takes, or only a port, which is then
                one of this machine alone (127.0.0.1).
            factory: what answers there.

        Raises:
            Refused: it is malformed, or cannot be bound.
        """
        match = _PORT.fullmatch(address)
        listen = address if match is None else f"127.0.0.1:{match[1]}"
        outcome: list[Any] = []
        try:
            maybeDeferred(endpoint(reactor, listen).listen, factory).addBoth(outcome.append)
        except AddressUnusable as error:
            raise Refused(f"--http: {error}") from None
        if not outcome:
            raise Refused(f"--http: cannot listen on {listen[:200]} at once")
        if isinstance(outcome[0], Failure):
            raise Refused(f"--http: {unusable(listen, outcome[0])}")
        bound: IAddress = outcome[0].getHost()
        return cls(outcome[0], http_url(listen, bound))

    def close(self) -> Deferred[None]:
        """Answer no more."""
        closed: Deferred[None] = maybeDeferred(self.port.stopListening)
        return closed
