"""What a mailbox server is called in a label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.telemetry.gauges import server_of


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
