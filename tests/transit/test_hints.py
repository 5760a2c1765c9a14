"""Hints to and from a peer, of which nothing is believed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wormhole._hints import parse_hint

from holdfast.transit.hints import (
    MOST,
    DirectHint,
    RelayHint,
    abilities,
    address,
    encode,
    parse,
)


def direct(host: Any = "192.0.2.1", port: Any = 4001, **more: Any) -> dict[str, Any]:
    return {"type": "direct-tcp-v1", "hostname": host, "port": port, **more}


GOOD: list[tuple[Any, DirectHint]] = [
    (direct(), DirectHint("192.0.2.1", 4001)),
    (direct(priority=2), DirectHint("192.0.2.1", 4001, 2.0)),
    (direct(port="4001"), DirectHint("192.0.2.1", 4001)),
    (direct(port=4001.0), DirectHint("192.0.2.1", 4001)),
    (direct(priority="high"), DirectHint("192.0.2.1", 4001)),
    (direct(priority=None), DirectHint("192.0.2.1", 4001)),
    (direct(priority=float("nan")), DirectHint("192.0.2.1", 4001)),
    (direct(priority=10**400), DirectHint("192.0.2.1", 4001)),
    (direct("relay.example"), DirectHint("relay.example", 4001)),
    (direct("2001:db8::1"), DirectHint("2001:db8::1", 4001)),
    (direct("x.onion") | {"type": "tor-tcp-v1"}, DirectHint("x.onion", 4001, tor=True)),
]

BAD: list[Any] = [
    *(None, True, 7, "tcp:192.0.2.1:4001", [], [direct()], {}),
    *(direct(port=each) for each in (0, -1, 65536, True, None, "x", "", 4001.5, 1e400, [], "٤")),
    *(direct(each) for each in (None, 5, "", "a b", "a\nb", "-x", "a" * 254, "ü.example", "%")),
    *(direct(each) for each in ("fe80::1%eth0", "[::1]", "a/b", "user@host", "host:80", "x-")),
    {"type": "direct-tcp-v1", "hostname": "192.0.2.1"},
    direct() | {"type": "pigeon-v1"},
    direct() | {"type": ["direct-tcp-v1"]},
    *({"type": "relay-v1", "hints": each} for each in (None, {}, [], [None, 3], "x")),
    {"type": "relay-v1"},
]


@pytest.mark.parametrize(("value", "hint"), GOOD)
def test_good_hints(value: Any, hint: DirectHint) -> None:
    """Numbers may be spelt in several ways; only the priority may be anything."""
    assert parse([value]) == (hint,)
    assert parse([{"type": "relay-v1", "hints": [value, None]}]) == (RelayHint((hint,)),)


def test_bad_hints() -> None:
    """Each is skipped alone, between others that are good."""
    for each in BAD:
        assert parse([direct(), each, direct("b.example")]) == (
            DirectHint("192.0.2.1", 4001),
            DirectHint("b.example", 4001),
        ), each


@pytest.mark.parametrize("value", [None, {}, 3, "x", True, {"hints": []}])
def test_what_is_no_list(value: object) -> None:
    """It has no hints in it."""
    assert parse(value) == ()


def test_many() -> None:
    """No more are looked at than there is room for, relays' own included."""
    assert len(parse([direct(port=each) for each in range(1, 10_000)])) == MOST
    relays = parse([{"type": "relay-v1", "hints": [direct()] * 10_000}] * 10_000)
    assert all(isinstance(each, RelayHint) for each in relays)
    assert sum(len(each.hosts) for each in relays if isinstance(each, RelayHint)) < MOST


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "hostname", "port", "priority", "hints"]), inner)
        | st.fixed_dictionaries({"type": st.sampled_from(["direct-tcp-v1", "relay-v1"])})
    ),
    max_leaves=12,
)


@given(JSON)
def test_anything(value: object) -> None:
    """What is accepted is in order, and the same when it is said again."""
    hints = parse(value)
    assert parse(json.loads(json.dumps(encode(hints), allow_nan=False))) == hints


def test_the_stock_client_understands_ours() -> None:
    """Integers, text and floats, as every client wants them."""
    ours = [DirectHint("2001:db8::1", 1, 2), RelayHint((DirectHint("relay.example", 4001),))]
    said = encode(ours)
    first, relay = map(parse_hint, json.loads(json.dumps(said)))
    assert (first.hostname, first.port, first.priority) == ("2001:db8::1", 1, 2.0)
    assert [each.hostname for each in relay.hints] == ["relay.example"]
    assert type(said[0]["priority"]) is float
    assert abilities() == [{"type": "direct-tcp-v1"}, {"type": "relay-v1"}]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("tcp:relay.example:4001", "relay.example"),
        ("relay.example:4001", "relay.example"),
        ("tcp:192.0.2.1:4001", "192.0.2.1"),
        ("tcp:[2001:db8::1]:4001", "2001:db8::1"),
        ("tcp:relay.example:4001:priority=2.0", "relay.example"),
    ],
)
def test_the_name_of_a_relay(text: str, host: str) -> None:
    """As people give it to the stock client too."""
    assert address(text) == DirectHint(host, 4001)


@pytest.mark.parametrize(
    "text",
    [
        *("", "relay.example", "relay.example:x", "tcp:relay.example", "udp:relay.example:4001"),
        *("tcp::4001", "tcp:relay.example:0", "tcp:relay.example:65536", "tcp:2001:db8::1:4001"),
        *("tcp:[relay.example]:4001", "tcp:a b:4001", "tcp:relay.example:4001\n", "tcp:[]:1"),
    ],
)
def test_what_is_no_relay(text: str) -> None:
    """The error says how one is named."""
    with pytest.raises(ValueError, match="tcp:HOST:PORT"):
        address(text)
