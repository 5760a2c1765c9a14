"""Addresses of mailbox servers: which are accepted, and what is said about the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rendezvous.relay_url import BadRelayUrl, parse_relay_url

GOOD = {
    "ws://relay.magic-wormhole.io:4000/v1": ("relay.magic-wormhole.io", 4000, False, "/v1"),
    "wss://Example.ORG/v1?a=b": ("example.org", 443, True, "/v1?a=b"),
    "ws://127.0.0.1": ("127.0.0.1", 80, False, "/"),
    "ws://[::1]:4000/v1": ("::1", 4000, False, "/v1"),
    "ws://b\xfccher.example/v1": ("xn--bcher-kva.example", 80, False, "/v1"),
}


@pytest.mark.parametrize(("url", "parts"), GOOD.items())
def test_good_addresses(url: str, parts: tuple[str, int, bool, str]) -> None:
    """Names, IPv4 and IPv6 addresses, with and without port, with and without TLS."""
    found = parse_relay_url(url)
    assert (found.host, found.port, found.secure, found.resource_name) == parts


BAD = {
    "": "scheme",
    "relay.example": "scheme",
    "http://relay.example/v1": "scheme isn't ws or wss",
    "ws://": "hostname",
    "ws:///v1": "hostname",
    "ws://relay.example:port/v1": "port",
    "ws://relay.example:99999/v1": "port",
    "ws://relay.example:-1/v1": "port",
    "ws://relay.example:0/v1": "port",
    "ws://[::1/v1": "name",
    "ws://relay.example/v1#here": "fragment",
    "ws://re lay.example/v1": "space",
    " ws://relay.example/v1": "space",
    "ws://relay.example/v1\r\nEvil: yes": "space",
    "ws://relay.example/\x00": "control",
    "ws://" + "\xfc" * 70 + ".example/v1": "impossible",
    "ws://relay.example/" + "x" * 2000: "longer",
    "ws://user@relay.example/v1": "password",
    "wss://user:@relay.example/v1": "password",
}


@pytest.mark.parametrize(("url", "reason"), BAD.items(), ids=range(len(BAD)))
def test_bad_addresses(url: str, reason: str) -> None:
    """What is no address of a server is refused in one clear line; it is a ValueError, too."""
    with pytest.raises(BadRelayUrl, match=reason) as caught:
        parse_relay_url(url)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).isprintable()
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@relay.example/v1",
        "wss://me:hunter2@relay.example/v1",
        "ws://me:hunter2@relay.example:port/v1",
        "ws://me:hunter2://@relay.example:port/v1",
        "ws://me:@hunter2@relay.example:port/v1",
        "ws://me:hunter2@\N{CARE OF}.relay.example/v1",
        "me:hunter2@relay.example",
    ],
)
def test_password_is_not_shown(url: str) -> None:
    """A password inside the address is not repeated."""
    with pytest.raises(BadRelayUrl) as caught:
        parse_relay_url(url)
    assert "hunter2" not in str(caught.value)
    assert "relay.example" in str(caught.value)


@given(st.text(max_size=30), st.sampled_from(["", "ws:", "ws://", "wss://a", "ws://[", "ws://a:"]))
def test_any_text(text: str, beginning: str) -> None:
    """Any text is an address in plain ASCII, or BadRelayUrl."""
    try:
        parts = parse_relay_url(beginning + text)
    except BadRelayUrl as error:
        assert str(error).isprintable()
    else:
        assert parts.host.isascii()
        assert parts.resource_name.isprintable()
        assert 0 < parts.port < 65536
