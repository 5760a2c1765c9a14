"""A net without network for each test, and one real mailbox server for all that need one."""

from collections.abc import Iterator

import pytest

from tests.api.world import Net
from tests.harness.server import MailboxServer
from tests.harness.stock_relay import relay

__all__ = ["relay"]


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture(scope="session")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    with MailboxServer(tmp_path_factory.mktemp("mailbox")) as server:
        yield server
