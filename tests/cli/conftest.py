"""One mailbox server and one process of stock clients for all commands that need them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.peers import StockReceivers
from tests.harness.process import NO_RELAY, Holdfast
from tests.harness.server import MailboxServer


@pytest.fixture(scope="session")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    with MailboxServer(tmp_path_factory.mktemp("mailbox")) as server:
        yield server


@pytest.fixture(scope="session")
def stock(mailbox: MailboxServer) -> Iterator[StockReceivers]:
    with StockReceivers(mailbox.url) as receivers:
        yield receivers


def mistyped(stock: StockReceivers, code: str) -> str:
    """Start a stock client with other words for the same nameplate; return its id."""
    nameplate = code.partition("-")[0]
    # Nameplates come again in the life of a server, and an id serves once.
    return stock.receive(f"{nameplate}-wrong-words", f"instead of {code}")


@pytest.fixture
def home(tmp_path: Path, mailbox: MailboxServer) -> Holdfast:
    """The command, with a home and a database of its own."""
    return Holdfast(tmp_path / "home", mailbox.url, str(tmp_path / "holdfast.db"), NO_RELAY)
