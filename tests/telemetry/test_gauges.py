"""What a mailbox server is called in a label, and when flows are counted again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.telemetry.gauges import Found, server_of
from holdfast_journal import NewFlow, SqlJournal


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("ws://relay.example.com:4000/v1", "ws://relay.example.com:4000/v1"),
        ("wss://relay.example.com/v1", "wss://relay.example.com/v1"),
        ("ws://[2001:db8::1]:4000/v1", "ws://[2001:db8::1]:4000/v1"),
        ("ws://me:s3cr3t@relay.example.com/v1?t=s3cr3t#s3cr3t", "ws://relay.example.com/v1"),
        ("ws://relay.example.com:port/v1", "?"),
        ("ws://[/v1", "?"),
    ],
)
def test_a_server(url: str, label: str) -> None:
    """It is known by its place; what may be secret in its URL is left out."""
    assert server_of(url) == label


@given(st.text(), st.text())
def test_any_url(before: str, after: str) -> None:
    """No URL makes it fail, or grow without bound."""
    assert len(server_of(f"{before}://{after}")) <= 200


def test_counted_again_when_something_was_committed() -> None:
    """Or if a worker has flows, which may die without a word."""
    journal = SqlJournal.open_inline("sqlite://")

    def start(name: str) -> None:
        journal.start_flows("batch", [NewFlow(name, "test", b"")])

    start("ada")
    first = Found.look(journal)
    assert Found.look(journal, first) is first
    start("bob")
    second = Found.look(journal, first)
    assert [group.number for group in second.groups] == [2]
    journal.take(limit=1)
    third = Found.look(journal, second)
    assert Found.look(journal, third) is not third
    journal.close()
