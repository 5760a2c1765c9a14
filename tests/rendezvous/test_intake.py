"""While the journal cannot keep what comes, it waits: bounded here, the rest in TCP."""

from typing import Any

from twisted.internet.task import Clock
from websockets.frames import CloseCode, Opcode

from holdfast.rendezvous.connector import WELCOME_TIME
from holdfast.rendezvous.dialer import Dialer
from holdfast.rendezvous.intake import RESUMED_AT_ONCE, Intake
from holdfast.rendezvous.websocket import CLOSE_TIMEOUT, PING_INTERVAL, SILENCE
from tests.harness.reactor import flush_logged_errors
from tests.rendezvous.line import URL, Ear, Exchange, Line
from tests.rendezvous.test_connector import started
from tests.rendezvous.test_websocket import Pair


def let_pass(clock: Clock, seconds: float) -> None:
    for _ in range(int(seconds)):
        clock.advance(1)


def test_what_comes_waits() -> None:
    """The first message is kept and nothing is read after it; then all comes, in order."""
    pair = Pair()
    pair.intake.pause()
    assert pair.line.reading, "pings are still to be answered"
    for number in range(1000):
        pair.line.say(str(number))
    assert pair.ear.heard == ["opened"]
    assert not pair.line.reading
    assert len(pair.line.waiting) > 1000
    pair.intake.resume()
    assert pair.ear.heard == ["opened"], "not inside the call of whoever resumes"
    pair.settle()
    assert pair.ear.heard == ["opened", *map(str, range(1000))]
    pair.line.say("next")
    assert pair.ear.heard[-1] == "next"


def test_what_came_with_it_waits_too() -> None:
    """Messages that were read together with the first one are kept behind it."""
    pair = Pair()
    pair.intake.pause()
    for text in ("one", "two", "three"):
        pair.line.server.send_text(text.encode())
    pair.line.flush()
    assert pair.ear.heard == ["opened"]
    pair.intake.resume()
    pair.settle()
    assert pair.ear.heard == ["opened", "one", "two", "three"]


def test_paused_again_at_once() -> None:
    """What is handed on may fill the journal again: then what was not read yet waits on."""
    pair = Pair()
    pair.intake.pause()
    pair.ear.on_received = lambda _: pair.intake.pause()
    pair.line.say("one")
    heard: list[Any] = ["opened"]
    for text, following in (("one", "two"), ("two", "three"), ("three", "four")):
        pair.line.say(following)
        pair.intake.resume()
        pair.settle()
        heard.append(text)
        assert pair.ear.heard == heard


def test_a_waiting_connection_lives_on() -> None:
    """With nothing but pings on it a connection lasts, however long the pause is."""
    pair = Pair()
    pair.intake.pause()
    for _ in range(100):
        pair.clock.advance(PING_INTERVAL)
        pair.line.server.send_ping(b"")
        pair.line.flush()
    assert pair.socket.is_open
    assert pair.line.count(Opcode.PING) == pair.line.count(Opcode.PONG) == 100


def test_silence_while_nothing_is_read() -> None:
    """A server that is not listened to is not called silent; it still gets our pings."""
    pair = Pair()
    pair.intake.pause()
    pair.line.say("something")
    pair.line.deaf = True
    let_pass(pair.clock, 20 * SILENCE)
    assert pair.socket.is_open
    assert pair.line.written.count(b"\x89\x80") >= 20 * SILENCE / PING_INTERVAL - 1
    pair.intake.resume()
    pair.settle()
    assert pair.ear.heard == ["opened", "something"]
    let_pass(pair.clock, 2 * SILENCE)
    assert "silent" in pair.ear.end.reason


def test_a_dead_server() -> None:
    """A server that is silent while it is listened to is given up in a pause too."""
    pair = Pair()
    pair.intake.pause()
    pair.line.deaf = True
    let_pass(pair.clock, 2 * SILENCE)
    assert "silent" in pair.ear.end.reason


def test_closing_meanwhile() -> None:
    """Whoever closes does not want what waits, and reads the server's good-bye."""
    pair = Pair()
    pair.intake.pause()
    pair.line.say("one")
    pair.socket.close()
    pair.settle()
    pair.line.say("two")
    pair.line.flush()
    pair.line.hang_up()
    assert pair.ear.end.clean
    assert pair.ear.heard == ["opened", pair.ear.end]
    pair.intake.resume()
    let_pass(pair.clock, CLOSE_TIMEOUT)
    assert pair.clock.getDelayedCalls() == []


def test_losing_it_meanwhile() -> None:
    """A connection that breaks in the pause is told of at once, and keeps nothing."""
    pair = Pair()
    pair.intake.pause()
    pair.line.say("one")
    pair.line.break_off()
    assert pair.ear.heard == ["opened", pair.ear.end]
    pair.intake.resume()
    pair.settle()
    assert pair.clock.getDelayedCalls() == []


def test_a_good_bye_meanwhile() -> None:
    """A server that hangs up behind its message ends the connection all the same."""
    pair = Pair()
    pair.intake.pause()
    pair.line.server.send_text(b"one")
    pair.line.server.send_close(CloseCode.GOING_AWAY)
    pair.line.flush()
    pair.line.hang_up()
    assert pair.ear.heard == ["opened", pair.ear.end]


def test_dialling_waits() -> None:
    """Nobody is dialled in a pause; who was dialled before is opened, and keeps what comes."""
    clock = Clock()
    exchange = Exchange(clock)
    dialer = Dialer(clock, endpoints=exchange)
    ears = [Ear(), Ear()]
    dialer.dial(URL, ears[0])
    dialer.pause()
    dialer.dial(URL, ears[1])
    assert len(exchange.calls) == 1
    line = exchange.last.open()
    line.say("welcome")
    assert ears[0].heard == ["opened"]
    let_pass(clock, 3600)
    assert len(exchange.calls) == 1
    dialer.resume()
    clock.advance(0)
    assert len(exchange.calls) == 2
    assert ears[0].heard == ["opened", "welcome"]


def test_a_welcome_that_waits() -> None:
    """A server whose welcome waits here is not called mute; one that sends none is, afterwards."""
    for welcomes in (True, False):
        home: Any = started()
        dialer: Dialer = home.connector._dialer
        dialer.pause()
        line: Line = home.exchange.last.open()
        if welcomes:
            line.say("welcome")
        # Pings of a server that is alive.
        for _ in range(int(5 * WELCOME_TIME)):
            home.clock.advance(1)
            line.server.send_ping(b"")
            line.flush()
        assert home.told == ["connected"]
        dialer.resume()
        home.clock.advance(0)
        home.clock.advance(WELCOME_TIME)
        home.clock.advance(0)
        if welcomes:
            assert home.told == ["connected", "welcome"]
        else:
            assert "no welcome" in home.told[-1][1]


def test_others_get_their_turn() -> None:
    """Of very many connections that go on, some do so in the next turn of the reactor."""
    clock = Clock()
    exchange = Exchange(clock)
    dialer = Dialer(clock, endpoints=exchange, limit=1000)
    ears = [Ear() for _ in range(2 * RESUMED_AT_ONCE + 1)]
    for ear in ears:
        dialer.dial(URL, ear)
    lines = [call.open() for call in exchange.calls]
    dialer.pause()
    for line in lines:
        line.say("hello")
    seen: list[int] = []

    def look() -> None:
        seen.append(sum("hello" in ear.heard for ear in ears))

    ears[0].on_received = lambda _: clock.callLater(0, look) and None
    dialer.resume()
    clock.advance(0)
    assert seen == [RESUMED_AT_ONCE]
    assert all("hello" in ear.heard for ear in ears)


def test_one_that_fails_keeps_nobody_waiting() -> None:
    """What one connection stumbles over is told of, and the others go on."""

    class Keeper:
        def __init__(self, fails: bool) -> None:
            self.fails, self.went_on = fails, False

        def go_on(self) -> None:
            self.went_on = True
            if self.fails:
                raise ZeroDivisionError

    clock = Clock()
    intake = Intake(clock)
    intake.pause()
    keepers = [Keeper(number == 0) for number in range(RESUMED_AT_ONCE + 2)]
    for keeper in keepers:
        intake.keeps(keeper)
    intake.resume()
    let_pass(clock, 3)
    assert all(keeper.went_on for keeper in keepers)
    assert len(flush_logged_errors(ZeroDivisionError)) == 1
