"""A stock relay, in this process."""

from collections.abc import Iterator

import pytest
from twisted.internet import reactor as real
from twisted.internet.protocol import ServerFactory
from wormhole_transit_relay.transit_server import Transit, TransitConnection
from wormhole_transit_relay.usage import create_usage_tracker

from tests.harness import reactor


@pytest.fixture(scope="session")
def relay() -> Iterator[str]:
    """Its name, as people give it."""
    factory = ServerFactory()
    factory.noisy = False
    factory.protocol = TransitConnection
    factory.transit = Transit(create_usage_tracker(None, None, None), real.seconds)
    factory.log_requests = False
    port = reactor.call(lambda: real.listenTCP(0, factory, interface="127.0.0.1"))
    yield f"tcp:127.0.0.1:{port.getHost().port}"
    reactor.run(port.stopListening)
