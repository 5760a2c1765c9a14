"""One world for all victims: a mailbox server, a nursery, and stock peers."""

from collections.abc import Iterator

import pytest

from tests.harness.nursery import Nursery
from tests.harness.peers import StockReceivers
from tests.harness.server import MailboxServer
from tests.kill.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What the tests of a module share."""
    folder = tmp_path_factory.mktemp("world")
    with (
        MailboxServer(folder) as server,
        Nursery(folder / "lives") as nursery,
        StockReceivers(server.url) as peers,
    ):
        yield World(folder, server, nursery, peers)
