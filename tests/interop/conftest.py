"""One mailbox server for all, and a text that has been somebody's trouble."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.process import NO_RELAY, Holdfast
from tests.harness.server import MailboxServer
from tests.harness.stock_relay import relay
from tests.harness.waiting import until

__all__ = ["relay"]

TEXT = "\n".join(["naïve „Übung“ 世界 😀", *(f"line number {n} of this text" for n in range(510))])
"""Many letters, many lines, and 15 kB."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    with MailboxServer(tmp_path_factory.mktemp("mailbox")) as server:
        yield server
        until(lambda: we_are_gone(server), lambda: f"our side closed: {server.tables()}")


def we_are_gone(server: MailboxServer) -> bool:
    """Whether nothing is left but mailboxes that the other program alone did not close.

    The Go client often ends before it has said good-bye.
    """
    tables = server.tables()
    still_open = Counter(row["mailbox_id"] for row in tables.mailbox_sides if row["opened"])
    return not tables.nameplates and all(count == 1 for count in still_open.values())


@pytest.fixture
def home(tmp_path: Path, server: MailboxServer) -> Holdfast:
    return Holdfast(tmp_path / "home", server.url, str(tmp_path / "holdfast.db"), NO_RELAY)


def wrong(code: str) -> str:
    """Return the code with other words."""
    return f"{code.partition('-')[0]}-wrong-words"
