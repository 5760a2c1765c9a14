"""A WebSocket, against servers that behave and servers that do not."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from websockets.frames import CloseCode, Frame, Opcode

from holdfast.rendezvous import websocket
from holdfast.rendezvous.boundaries import Fault
from holdfast.rendezvous.heartbeat import Heartbeat
from holdfast.rendezvous.intake import Intake
from holdfast.rendezvous.relay_url import parse_relay_url
from holdfast.rendezvous.websocket import CLOSE_TIMEOUT, SILENCE, WebSocket
from tests.harness import reactor as harness
from tests.rendezvous.line import URL, Ear, Line


class Pair:
    """One socket of ours on a line, with its listener and its clock."""

    def __init__(self, *, opened: bool = True) -> None:
        self.clock = Clock()
        self.ear = Ear()
        self.intake = Intake(self.clock)
        heart = Heartbeat(self.clock)
        self.socket = WebSocket(parse_relay_url(URL), self.ear, heart, self.intake)
        self.line = Line(self.clock, self.socket)
        self.line.connect()
        if opened:
            self.line.accept()

    def settle(self) -> None:
        """Let everything happen that happens at once."""
        self.clock.advance(0)


def test_handshake() -> None:
    """The request names the host, asks for no extension, and its answer opens the socket."""
    pair = Pair(opened=False)
    assert not pair.socket.is_open
    assert pair.line.request is not None
    assert pair.line.request.path == "/v1"
    assert pair.line.request.headers["Host"] == "relay.example"
    assert "Sec-WebSocket-Extensions" not in pair.line.request.headers
    pair.line.accept()
    assert pair.ear.heard == ["opened"]
    assert pair.socket.is_open


def test_messages_both_ways() -> None:
    """Messages arrive whole and in order, as text."""
    pair = Pair()
    pair.socket.send("one")
    pair.socket.send("\N{SNOWMAN}")
    assert pair.line.texts == ["one", "\N{SNOWMAN}"]
    pair.line.say("three")
    pair.line.say("")
    assert pair.ear.heard == ["opened", "three", ""]


def test_binary_messages_are_text() -> None:
    """A binary message is read as UTF-8, as the documents of the protocol have it."""
    pair = Pair()
    pair.line.server.send_binary("caf\xe9".encode())
    pair.line.flush()
    assert pair.ear.heard == ["opened", "caf\xe9"]


def test_fragments() -> None:
    """A message in pieces, cut inside a character and with a ping between, arrives whole."""
    pair = Pair()
    pair.line.say(b"caf\xc3", fin=False)
    pair.line.server.send_ping(b"x")
    pair.line.more(b"", fin=False)
    pair.line.more(b"\xa9!", fin=True)
    pair.line.flush()
    pair.line.say("next")
    assert pair.ear.heard == ["opened", "caf\xe9!", "next"]
    assert pair.line.count(Opcode.PONG) == 1


@given(st.lists(st.text(max_size=300), max_size=6), st.randoms(use_true_random=False))
def test_any_cutting(messages: list[str], random: object) -> None:
    """However the bytes are cut on their way, the same messages arrive."""
    pair = Pair(opened=False)
    line = pair.line
    assert line.request is not None
    line.server.send_response(line.server.accept(line.request))
    for message in messages:
        line.server.send_text(message.encode())
    data = b"".join(line.server.data_to_send())
    while data:
        length = random.randint(1, 40)  # type: ignore[attr-defined]
        line.raw(data[:length])
        data = data[length:]
    assert pair.ear.heard == ["opened", *messages]


def test_pings_of_the_server() -> None:
    """A ping is answered with what it carried, whatever state the listener is in."""
    pair = Pair()
    pair.line.server.send_ping(b"are you there?")
    pair.line.flush()
    assert [bytes(frame.data) for frame in pair.line.frames] == [b"are you there?"]


def test_ping_flood() -> None:
    """While the server does not read, its pings are not answered: our memory is bounded."""
    pair = Pair()
    pair.line.producer.pauseProducing()
    for _ in range(100):
        pair.line.server.send_ping(b"x" * 125)
    pair.line.flush()
    assert pair.line.count(Opcode.PONG) == 0
    pair.socket.send("this goes out all the same")
    assert pair.line.texts == ["this goes out all the same"]
    pair.line.producer.resumeProducing()
    pair.line.server.send_ping(b"y")
    pair.line.flush()
    assert pair.line.count(Opcode.PONG) == 1


def test_sending_too_early() -> None:
    """Sending before the connection is open is a mistake of the caller."""
    pair = Pair(opened=False)
    with pytest.raises(RuntimeError, match="open"):
        pair.socket.send("x")


def test_sending_too_late() -> None:
    """Sending once the connection is closing or gone does nothing."""
    pair = Pair()
    pair.socket.close()
    pair.socket.send("x")
    assert pair.line.texts == []
    pair.line.flush()
    pair.line.hang_up()
    pair.socket.send("x")
    assert pair.ear.end.clean


def test_answering_a_servers_last_words() -> None:
    """Answering a message behind which the server said good-bye does nothing, without an error."""
    pair = Pair()
    pair.ear.on_received = pair.socket.send
    pair.line.server.send_text(b"last words")
    pair.line.server.send_close(CloseCode.GOING_AWAY)
    pair.line.flush()
    assert pair.ear.heard == ["opened", "last words"]
    assert pair.line.texts == []


# Closing.


def test_closing() -> None:
    """Closing says good-bye, waits for the answer, and is then over; nothing more is heard."""
    pair = Pair()
    pair.socket.close()
    assert pair.line.server.close_code is None
    assert pair.line.count(Opcode.CLOSE) == 1
    pair.line.raw(bytes(Frame(Opcode.TEXT, b"too late").serialize(mask=False)))
    pair.line.flush()
    assert pair.ear.heard == ["opened"]
    pair.line.hang_up()
    assert pair.ear.end.clean
    assert "we closed" in pair.ear.end.reason
    pair.clock.advance(1000)
    assert pair.ear.end


def test_closing_twice() -> None:
    """Closing again, or aborting afterwards, changes nothing but the speed."""
    pair = Pair()
    pair.socket.close()
    pair.socket.close()
    assert pair.line.count(Opcode.CLOSE) == 1
    pair.socket.abort()
    pair.settle()
    assert "we closed" in pair.ear.end.reason
    pair.socket.close()
    pair.socket.abort()
    pair.settle()
    assert pair.ear.end


def test_closing_a_server_that_does_not_answer() -> None:
    """A server that does not answer our good-bye is left after a few seconds."""
    pair = Pair()
    pair.line.deaf = True
    pair.socket.close()
    pair.clock.advance(CLOSE_TIMEOUT - 1)
    assert pair.ear.heard == ["opened"]
    pair.clock.advance(1)
    pair.settle()
    assert not pair.ear.end.clean


def test_server_closes() -> None:
    """A good-bye of the server is answered, and its code and reason are told, made printable."""
    pair = Pair()
    pair.line.server.send_close(CloseCode.GOING_AWAY, "maintenance \x1b[31m")
    pair.line.flush()
    assert pair.line.count(Opcode.CLOSE) == 1
    assert not pair.socket.is_open
    pair.line.hang_up()
    assert pair.ear.end.clean
    assert pair.ear.end.reason == "the server closed the connection (1001: maintenance ?[31m)"


def test_server_closes_and_stays() -> None:
    """A server that says good-bye and does not hang up is left after a few seconds."""
    pair = Pair()
    pair.line.server.send_close(CloseCode.NORMAL_CLOSURE)
    pair.line.flush()
    pair.clock.advance(CLOSE_TIMEOUT)
    pair.settle()
    assert pair.ear.end.clean


def test_server_cuts() -> None:
    """A connection that ends without good-bye is not clean."""
    pair = Pair()
    pair.line.hang_up()
    assert not pair.ear.end.clean
    assert pair.ear.end.reason == "the server cut the connection"


def test_connection_breaks() -> None:
    """A connection that breaks is told as such."""
    pair = Pair()
    pair.line.break_off()
    assert pair.ear.end.reason == "the connection was lost"


def test_aborting() -> None:
    """Aborting tells the listener in the next turn, never inside the call, and only once."""
    pair = Pair()
    pair.socket.abort("because")
    assert pair.ear.heard == ["opened"]
    assert not pair.socket.is_open
    pair.line.say("too late")
    pair.settle()
    assert pair.ear.heard[0:1] == ["opened"]
    assert pair.ear.end.reason == "because"
    assert not pair.ear.end.clean


@pytest.mark.parametrize("how", ["close", "abort"])
def test_ending_inside_a_callback(how: str) -> None:
    """Closing from inside a message's callback keeps the messages behind it from coming."""
    pair = Pair()
    pair.ear.on_received = lambda _: getattr(pair.socket, how)()
    for word in ("one", "two", "three"):
        pair.line.say(word)
    assert pair.ear.heard == ["opened", "one"]
    pair.clock.advance(CLOSE_TIMEOUT)
    pair.settle()
    assert pair.ear.end


@pytest.mark.parametrize("how", ["close", "abort"])
def test_ending_before_it_is_open(how: str) -> None:
    """Closing during the handshake drops the connection, which never opens."""
    pair = Pair(opened=False)
    getattr(pair.socket, how)()
    pair.line.accept()
    pair.settle()
    assert pair.ear.heard == [pair.ear.end]


# What no server should send.


def too_long() -> bytes:
    return b"\x81\x7f" + (32 * 1024 * 1024 + 1).to_bytes(8, "big")


BROKEN = {
    "too long": (too_long(), "too long"),
    "enormous": (b"\x81\x7f\x7f" + b"\xff" * 7, "too long"),
    "impossible length": (b"\x81\x7f" + b"\xff" * 8, "too long"),
    "no UTF-8": (b"\x81\x02\xff\xfe", "not UTF-8"),
    "no UTF-8 in binary": (b"\x82\x02\xff\xfe", "not UTF-8"),
    "half a surrogate": (b"\x81\x03\xed\xa0\x80", "not UTF-8"),
    "masked": (b"\x81\x81\x00\x00\x00\x00x", "WebSocket protocol"),
    "unknown opcode": (b"\x83\x00", "WebSocket protocol"),
    "reserved bit": (b"\xc1\x00", "WebSocket protocol"),
    "long ping": (b"\x89\x7e\x00\x80" + bytes(128), "WebSocket protocol"),
    "fragmented ping": (b"\x09\x00", "WebSocket protocol"),
    "lone continuation": (b"\x80\x00", "WebSocket protocol"),
    "message inside another": (b"\x01\x01a\x81\x01b", "WebSocket protocol"),
    "bad close code": (b"\x88\x02\x00\x01", "WebSocket protocol"),
    "short close": (b"\x88\x01\x03", "WebSocket protocol"),
    "close inside a message": (b"\x01\x01a\x88\x00", "WebSocket protocol"),
    "bad close reason": (b"\x88\x03\x03\xe8\xff", "not UTF-8"),
    "HTTP": (b"HTTP/1.1 200 OK\r\n" * 9, "WebSocket protocol"),
}


@pytest.mark.parametrize(("data", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_frames(data: bytes, reason: str) -> None:
    """What breaks the rules ends the connection for a reason that says so, and is not passed on."""
    pair = Pair()
    pair.line.raw(data)
    assert not pair.socket.is_open
    pair.line.raw(bytes(Frame(Opcode.TEXT, b"too late").serialize(mask=False)))
    pair.settle()
    assert pair.ear.heard == ["opened", pair.ear.end]
    assert reason in pair.ear.end.reason
    assert not pair.ear.end.clean


@pytest.mark.parametrize("data", [data for data, _ in BROKEN.values()], ids=BROKEN.keys())
def test_broken_frames_behind_good_ones(data: bytes) -> None:
    """A good message in front of a broken one still arrives."""
    pair = Pair()
    pair.line.raw(b"\x81\x04good" + data)
    pair.settle()
    assert pair.ear.heard == ["opened", "good", pair.ear.end]


@pytest.mark.parametrize("data", [data for data, _ in BROKEN.values()], ids=BROKEN.keys())
def test_broken_frames_while_closing(data: bytes) -> None:
    """Nonsense in answer to our good-bye ends the connection as well."""
    pair = Pair()
    pair.socket.close()
    pair.line.raw(data)
    pair.clock.advance(CLOSE_TIMEOUT)
    pair.settle()
    assert "we closed" in pair.ear.end.reason


def test_long_message_in_pieces() -> None:
    """The bound holds for the sum of the pieces."""
    pair = Pair()
    piece = bytes(8 * 1024 * 1024)
    pair.line.say(piece, fin=False)
    for _ in range(3):
        pair.line.more(piece, fin=False)
    pair.line.more(b"x", fin=True)
    pair.line.flush()
    pair.settle()
    assert "too long" in pair.ear.end.reason


def said(pair: Pair, code: CloseCode) -> None:
    """The server closes the connection with this code."""
    pair.line.server.send_close(code, "why")
    pair.line.flush()
    pair.line.hang_up()


FAULTS: dict[str, tuple[Callable[[Pair], object], Fault | None]] = {
    "too long for them": (lambda p: said(p, CloseCode.MESSAGE_TOO_BIG), Fault.TOO_LONG_FOR_THEM),
    "going away": (lambda p: said(p, CloseCode.GOING_AWAY), None),
    "cut": (lambda p: p.line.hang_up(), None),
    "too long": (lambda p: p.line.say(bytes(32 * 1024 * 1024 + 1)), Fault.UNACCEPTABLE),
    "no UTF-8": (lambda p: p.line.say(b"\xff"), Fault.UNACCEPTABLE),
    "no WebSocket": (lambda p: p.line.raw(b"\xff" * 20), Fault.UNACCEPTABLE),
    "silence": (lambda p: p.clock.pump([SILENCE / 10] * 11), None),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_was_wrong_with_a_message(case: str) -> None:
    """An end tells whether the next connection would end at the same message."""
    happens, fault = FAULTS[case]
    pair = Pair()
    happens(pair)
    pair.clock.advance(CLOSE_TIMEOUT)
    pair.settle()
    assert pair.ear.end.fault is fault


def test_longest_message() -> None:
    """A message as long as the bound is accepted."""
    pair = Pair()
    pair.line.say(b"x" * websocket.LARGEST_MESSAGE)
    assert len(pair.ear.heard[1]) == websocket.LARGEST_MESSAGE


UPGRADE = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

REFUSALS = {
    "404": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "HTTP 404 Not Found"),
    "200": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP 200 OK"),
    "colours": (b"HTTP/1.1 500 \xff\xa0\r\nContent-Length: 0\r\n\r\n", "HTTP 500"),
    "garbage": (b"\x00\x01\x02\xff\n", "valid HTTP"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", "valid HTTP"),
    "long line": (b"x" * 10_000, "no mailbox server there"),
    "many headers": (b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 200, "no mailbox server there"),
    "no key": (UPGRADE + b"\r\n", "Sec-WebSocket-Accept"),
    "wrong key": (UPGRADE + b"Sec-WebSocket-Accept: AAAA\r\n\r\n", "Sec-WebSocket-Accept"),
    "no upgrade": (b"HTTP/1.1 101 x\r\n\r\n", "Connection"),
    "endless body": (
        b"HTTP/1.1 404 Gone\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        "no mailbox server there",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refused_handshakes(answer: bytes, reason: str) -> None:
    """An answer that is no WebSocket ends the attempt and says what was there instead."""
    pair = Pair(opened=False)
    pair.line.raw(answer)
    pair.settle()
    assert pair.ear.heard == [pair.ear.end]
    assert reason in pair.ear.end.reason
    assert pair.ear.end.reason.isprintable()
    assert pair.ear.end.fault is None
    assert isinstance(pair.ear.end.cause, Exception)


def test_refused_handshake_that_ends_with_the_connection() -> None:
    """An error page whose end is the end of the connection is understood, too."""
    pair = Pair(opened=False)
    pair.line.raw(b"HTTP/1.1 503 Busy\r\n\r\n<html>")
    assert pair.ear.heard == []
    pair.line.hang_up()
    assert "HTTP 503 Busy" in pair.ear.end.reason


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 10", b"HTTP/1.1 101 x\r\n"])
def test_cut_handshake(said: bytes) -> None:
    """A connection that ends in the handshake is told as such."""
    pair = Pair(opened=False)
    pair.line.raw(said)
    pair.line.hang_up()
    assert pair.ear.end.reason == "the server cut the connection during the handshake"
    assert isinstance(pair.ear.end.cause, Exception)


def test_unasked_extension() -> None:
    """A server that compresses without being asked is refused."""
    pair = Pair(opened=False)
    assert pair.line.request is not None
    response = pair.line.server.accept(pair.line.request)
    response.headers["Sec-WebSocket-Extensions"] = "permessage-deflate"
    pair.line.server.send_response(response)
    pair.line.flush()
    pair.settle()
    assert "extension" in pair.ear.end.reason


@settings(max_examples=3 * settings().max_examples)
@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans(), st.booleans())
def test_any_bytes(chunks: list[bytes], opened: bool, closing: bool) -> None:
    """Whatever bytes come, in whatever state: no exception, and one end."""
    pair = Pair(opened=opened)
    if closing:
        pair.socket.close()
    for chunk in chunks:
        pair.line.raw(chunk)
    pair.settle()
    pair.line.lost(ConnectionLost())
    assert pair.ear.end.reason.isprintable()
    pair.clock.advance(1000)
    assert pair.clock.getDelayedCalls() == []


# The listener's own errors.


@pytest.mark.parametrize("where", ["on_opened", "on_received", "on_closed"])
def test_listener_that_fails(where: str) -> None:
    """An error of the listener is logged and drops the connection, no more."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    harness.start()
    pair = Pair(opened=False)
    setattr(pair.ear, where, fail)
    pair.line.accept()
    if pair.socket.is_open:
        pair.line.say("x")
    if pair.socket.is_open:
        pair.line.hang_up()
    pair.settle()
    assert pair.ear.end
    assert len(harness.flush_logged_errors(ZeroDivisionError)) == 1


# Heartbeats.


def test_own_pings() -> None:
    """We ping every 30 seconds, as long as the connection is open."""
    pair = Pair()
    for number in range(1, 4):
        pair.clock.advance(29)
        assert pair.line.count(Opcode.PING) == number - 1
        pair.clock.advance(1)
        assert pair.line.count(Opcode.PING) == number
        pair.line.flush()
    pair.line.hang_up()
    pair.clock.advance(60)
    assert pair.line.count(Opcode.PING) == 3
    assert pair.clock.getDelayedCalls() == []


def test_silence() -> None:
    """A connection over which nothing at all came for 75 seconds is dead."""
    pair = Pair()
    for _ in range(int(SILENCE) - 1):
        pair.clock.advance(1)
    assert pair.socket.is_open
    pair.clock.advance(1)
    pair.settle()
    assert pair.ear.end.reason == "the server was silent for 75 seconds"


@pytest.mark.parametrize("sign", [b"\x8a\x00", b"\x89\x00", b"\x81\x01x", b"\x81"])
def test_any_sign_of_life(sign: bytes) -> None:
    """A pong, a ping, a message or a piece of one: anything shows that the server is there."""
    pair = Pair()
    for _ in range(70):
        pair.clock.advance(1)
    pair.line.raw(sign)
    for _ in range(74):
        pair.clock.advance(1)
    assert pair.socket.is_open
    pair.clock.advance(1)
    pair.settle()
    assert "silent" in pair.ear.end.reason


def test_standing_still() -> None:
    """After the process stood still for long, the server may first answer one ping."""
    pair = Pair()
    pair.clock.advance(3600)
    assert pair.socket.is_open
    assert pair.line.count(Opcode.PING) == 1
    for _ in range(45):
        pair.clock.advance(1)
    pair.settle()
    assert "silent" in pair.ear.end.reason


def test_choked_line_is_not_pinged() -> None:
    """While the transport cannot get rid of what we wrote, no ping is added to it."""
    pair = Pair()
    pair.line.producer.pauseProducing()
    pair.clock.advance(30)
    assert pair.line.count(Opcode.PING) == 0
    for _ in range(45):
        pair.clock.advance(1)
    pair.settle()
    assert "silent" in pair.ear.end.reason


def test_transport_is_let_go() -> None:
    """Before we hang up the transport is told that nothing more will be produced."""
    pair = Pair()
    pair.line.raw(b"\x83\x00")
    assert pair.line.disconnecting
    assert pair.line.producer is None
