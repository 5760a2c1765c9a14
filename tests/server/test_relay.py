"""The transit relay: what it answers as every relay does, and the bounds that it has."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.harness.relay import TOKEN, Client, Relay, please, running_relay
from tests.harness.waiting import until


@pytest.fixture
def relay() -> Iterator[Relay]:
    with running_relay(wait=1000, idle=100) as relay:
        yield relay


def test_a_pair(relay: Relay) -> None:
    """Two sides with one token are put together, whatever is said then in both directions."""
    one, other = relay.pair()
    one.say(b"to the other\n" * 2000)
    other.hears(b"to the other\n" * 2000)
    other.say(bytes(range(256)))
    one.hears(bytes(range(256)))


def test_what_was_sent_before_the_end_arrives(relay: Relay) -> None:
    """One side's end is the other's, after all that was said."""
    one, other = relay.pair()
    one.say(b"x" * 100_000)
    one.socket.close()
    other.hears(b"x" * 100_000)
    other.ends()


def test_no_half(relay: Relay) -> None:
    """A side that stops sending can hear nothing either."""
    one, other = relay.pair()
    one.socket.shutdown(socket.SHUT_WR)
    other.ends()
    one.ends()


def test_strangers_are_left_alone(relay: Relay) -> None:
    """Other tokens and the same side are not put together; the old form takes anybody."""
    same = [relay.client(please("1")), relay.client(please("1"))]
    relay.client(please("2", "ab" * 32))
    until(lambda: relay.timers() == [1000] * 3, "three that wait")
    for each in same:
        each.socket.close()
    until(lambda: relay.timers() == [1000], "one that waits")
    old = [relay.client(please(None)), relay.client(please(None))]
    for each in old:
        each.hears(b"ok\n")


def test_two_connections_of_one_side(relay: Relay) -> None:
    """When the partner comes, one of the two is taken and the other ends."""
    two = [relay.client(please("1")), relay.client(please("1"))]
    until(lambda: relay.timers() == [1000, 1000], "both to wait")
    partner = relay.client(please("2"))
    partner.hears(b"ok\n")
    partner.say(b"hello")
    heard = [each.socket.recv(3) for each in two]
    assert sorted(heard) == [b"", b"ok\n"]
    two[heard.index(b"ok\n")].hears(b"hello")


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n",
        b"\n",
        b"\xff\x00\n",
        b"please relay 5a\n",
        please().replace(b"\n", b"\r\n"),
        please().replace(b"please", b"Please"),
        b" " + please(),
        please()[:-2] + b"\n",
        please().replace(b"\n", b" \n"),
        b"nonsense\n" * 100,
    ],
)
def test_bad_handshakes(relay: Relay, line: bytes) -> None:
    """What is not the line is told so, once."""
    client = relay.client(line)
    client.hears(b"bad handshake\n")
    client.ends()


@pytest.mark.parametrize("line", [b"x" * 5000, b"x" * 1025 + b"\n", please()[:-1] + b" " * 2000])
def test_long_lines(relay: Relay, line: bytes) -> None:
    """A line of more than 1,024 bytes ends the connection without a word."""
    relay.client(line).ends()


def test_the_longest_line(relay: Relay) -> None:
    """A line of 1,024 bytes is read, and is none of ours."""
    relay.client(b"x" * 1024 + b"\n").hears(b"bad handshake\n")


@pytest.mark.parametrize("at_once", [True, False])
def test_impatience(relay: Relay, at_once: bool) -> None:
    """Who speaks before `ok` is sent away, and is nobody's partner."""
    client = relay.client(please() + b"!" if at_once else please())
    if not at_once:
        until(lambda: relay.timers() == [1000], "it to wait")
        client.say(b"!")
    client.hears(b"impatient\n")
    client.ends()
    relay.pair()


def test_a_line_in_pieces(relay: Relay) -> None:
    """It does not matter how the line arrives."""
    client = relay.client()
    for byte in please("1"):
        client.say(bytes([byte]))
    relay.client(please("2")).hears(b"ok\n")
    client.hears(b"ok\n")


def test_half_open_clients(relay: Relay) -> None:
    """Clients that do not say what they want are dropped after a minute; others are served."""
    silent = [relay.client() for _ in range(40)]
    slow = relay.client(please()[:-1])
    until(lambda: len(relay.timers()) == 41, "all to be there")
    one, other = relay.pair()
    relay.after(59)
    assert relay.timers()[0] == 1
    relay.after(1)
    for each in (*silent, slow):
        each.ends()
    one.say(b"still here")
    other.hears(b"still here")


def test_a_lone_client(relay: Relay) -> None:
    """It waits as long as the operator lets it."""
    client = relay.client(please("1"))
    until(lambda: relay.timers() == [1000], "it to wait")
    relay.after(999)
    other = relay.client(please("3", "ab" * 32))
    until(lambda: relay.timers() == [1, 1000], "the other")
    relay.after(1)
    client.ends()
    until(lambda: relay.timers() == [999], "the other alone")
    relay.client(please("4", "ab" * 32)).hears(b"ok\n")
    other.hears(b"ok\n")


def test_a_silent_pair(relay: Relay) -> None:
    """A pair is dropped when both are silent; one that speaks keeps both."""
    one, other = relay.pair()
    for _ in range(3):
        relay.after(99)
        one.say(b"x")
        other.hears(b"x")
        assert relay.timers() == [100, 100]
    relay.after(100)
    one.ends()
    other.ends()


MUCH = 40_000_000
"""Bytes: more than the system keeps for four sockets."""


@contextmanager
def sending_much(client: Client) -> Iterator[None]:
    """Send it while the block runs; it may be cut off."""

    def send() -> None:
        with suppress(OSError):
            client.say(b"x" * MUCH)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    except BaseException:
        client.socket.shutdown(socket.SHUT_RDWR)  # or the thread would go on
        raise
    finally:
        thread.join()


def test_a_slow_receiver_stops_the_sender(relay: Relay) -> None:
    """What is not taken is not read: the relay's memory does not grow with it."""
    one, other = relay.pair()
    with sending_much(one):
        until(lambda: not relay.reads(one), "the sender to be stopped")
        assert relay.held_for(other) < 500_000
        other.hears(b"x" * MUCH)
    until(lambda: relay.reads(one), "the sender to be read again")
    one.say(b"end")
    other.hears(b"end")


def test_a_receiver_that_takes_nothing(relay: Relay) -> None:
    """It cannot hold on to its partner, nor to what was meant for it."""
    one, _ = relay.pair()
    with sending_much(one):
        until(lambda: not relay.reads(one), "the sender to be stopped")
        relay.after(100)
        until(lambda: relay.timers() == [], "both to be gone")


def test_a_receiver_that_ends(relay: Relay) -> None:
    """Its end ends a sender that was stopped."""
    one, other = relay.pair()
    with sending_much(one):
        until(lambda: not relay.reads(one), "the sender to be stopped")
        other.socket.close()
        until(lambda: relay.timers() == [], "both to be gone")


def test_a_sender_that_is_lost_while_it_is_stopped(relay: Relay) -> None:
    """Its receiver gets what the relay has, and then the end."""
    one, other = relay.pair()
    one.socket.setblocking(False)

    def is_stopped() -> bool:
        with suppress(BlockingIOError):
            one.socket.send(b"x" * 1_000_000)
        return not relay.reads(one)

    until(is_stopped, "the sender to be stopped")
    one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.socket.close()
    other.say(b"to nobody")
    while heard := other.socket.recv(1_000_000):
        assert set(heard) == set(b"x")
    until(lambda: relay.timers() == [], "both to be gone")


def test_the_bytes_of_a_pair() -> None:
    """A pair that sends more than it may, in both directions together, is cut off."""
    with running_relay(pair_bytes=1000) as relay:
        one, other = relay.pair()
        one.say(b"x" * 600)
        other.hears(b"x" * 600)
        other.say(b"y" * 400)
        one.hears(b"y" * 400)
        one.say(b"x")
        one.ends()
        other.ends()
        relay.pair()


def test_too_many_connections() -> None:
    """Who comes when there are enough is sent away, and the others notice nothing of it."""
    with running_relay(most=3) as relay:
        one, other = relay.pair()
        waits = relay.client(please("3"))
        until(lambda: len(relay.timers()) == 3, "all three")
        relay.client().ends()
        relay.client().ends()
        one.say(b"x")
        other.hears(b"x")
        waits.socket.close()
        until(lambda: len(relay.timers()) == 2, "a free place")
        relay.client(please("1", "ab" * 32))
        until(lambda: len(relay.timers()) == 3, "all three")


def test_sockets_are_watched(relay: Relay) -> None:
    """The system asks a silent client's host whether it is there."""
    one, _ = relay.pair()
    assert relay.option(one, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert relay.option(one, socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 30


def test_the_end_of_the_relay() -> None:
    """Everybody is let go, and the port is free."""
    with running_relay() as relay:
        one, other = relay.pair()
        waits = relay.client(please("3", TOKEN[::-1]))
        silent = relay.client()
        until(lambda: len(relay.timers()) == 4, "all to be there")
        relay.stop()
        for each in (one, other, waits, silent):
            each.ends()
        with pytest.raises(ConnectionRefusedError):
            relay.client()
