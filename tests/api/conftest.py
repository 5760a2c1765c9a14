"""A net without network for each test, and one real mailbox server for all that need one."""

from collections.abc import Iterator
from typing import Any

import pytest

from holdfast import api
from tests.api.world import Net
from tests.harness.server import MailboxServer


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    net = Net()

    def connectors(reactor: Any, tor: Any = None) -> Any:
        return net.server.connector

    monkeypatch.setattr(api, "connectors", connectors)
    return net


@pytest.fixture(scope="session")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    with MailboxServer(tmp_path_factory.mktemp("mailbox")) as server:
        yield server
