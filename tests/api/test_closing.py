"""Section "Closing": moods, results, exceptions, and that every close finishes."""

import contextlib
from typing import Any

import pytest
from attrs import define
from twisted.internet.defer import Deferred
from wormhole.errors import WormholeError

import holdfast
from holdfast.rendezvous.boundaries import Fault
from holdfast.shell.contact import MOST_CLOSING_TRIES
from holdfast.shell.giving_up import MOST_CUT_CLOSINGS
from holdfast.shell.patience import CLOSING_PATIENCE
from tests.api.world import APPID, CODE, URL, Delegate, Net
from tests.harness.server import MailboxServer


def ends(net: Net, wormhole: Any, seconds: float = 0) -> Any:
    """The result of `close` in Deferred mode: a string, or the exception."""
    try:
        return net.result(wormhole.close(), seconds)
    except Exception as error:  # noqa: BLE001
        return error


def met(net: Net, **options: Any) -> tuple[Any, Delegate, Any]:
    """A wormhole with a delegate, and its peer."""
    delegate = Delegate()
    ours, theirs = net.create(delegate=delegate, **options), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    return ours, delegate, theirs


def test_a_happy_end_in_both_modes(net: Net) -> None:
    """`close` gives "happy"; in Delegated mode it returns nothing, and the delegate is told."""
    ours, delegate, theirs = met(net)
    assert ours.close() is None
    net.run()
    assert delegate.got("closed") == "happy"
    assert ends(net, theirs) == "happy"
    assert net.network.moods == ["happy", "happy"]
    assert net.server.tables().empty
    assert not net.network.connectors, "the connections are closed"


def test_lonely(net: Net) -> None:
    """Nobody came: LonelyError, and the mood says so."""
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    assert isinstance(ends(net, ours), holdfast.LonelyError)
    assert net.network.moods == ["lonely"]
    assert net.server.tables().empty


def test_lonely_with_an_unverified_key(net: Net) -> None:
    """Only a verified peer is company (BEHAVIOUR 11)."""
    delegate = Delegate(on={"unverified_key": lambda _: ours.close()})
    ours, theirs = net.create(delegate=delegate), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    assert isinstance(delegate.got("closed"), holdfast.LonelyError)


def test_wrong_password(net: Net) -> None:
    """It closes by itself, at both ends, with the mood "scary", and all is freed."""
    delegates = [Delegate(), Delegate()]
    for delegate, code in zip(delegates, (CODE, CODE + "x"), strict=True):
        net.create(delegate=delegate).set_code(code)
    net.run()
    for delegate in delegates:
        assert isinstance(delegate.got("closed"), holdfast.WrongPasswordError)
    assert net.network.moods == ["scary", "scary"]
    assert net.server.tables().empty


def test_server_error(net: Net) -> None:
    """The server rejected something we did: mood "errory"."""
    _ours, delegate, _ = met(net)
    net.network.say("error", error="no more", orig={"type": "add"})
    net.run()
    assert isinstance(delegate.got("closed"), holdfast.ServerError)
    assert net.network.moods == ["errory", "errory"]


def test_welcome_error_has_a_mood_of_its_own(net: Net) -> None:
    """A server that turns us away in the middle is told "unwelcome"."""
    _ours, delegate, _ = met(net)
    net.server.welcome = {"error": "go"}
    net.server.stop()
    net.server.start()
    net.run(2)
    assert isinstance(delegate.got("closed"), holdfast.WelcomeError)
    assert set(net.network.moods) == {"unwelcome"}


def test_a_server_that_cannot_be_reached_if_that_is_to_be_final(net: Net) -> None:
    """ServerConnectionError with the reason, only with `first_failure_is_final`."""
    net.server.stop()
    patient, hasty = net.create(), net.create(first_failure_is_final=True)
    waiting = patient.get_welcome()
    net.run(30)
    with pytest.raises(holdfast.ServerConnectionError, match="connection refused") as caught:
        net.result(hasty.close())
    assert caught.value.url == URL
    assert str(caught.value.reason) == "connection refused"
    assert isinstance(caught.value.reason, ConnectionError), "where there is no exception"
    assert not waiting.called
    net.server.start()
    assert net.result(waiting, seconds=2) == {}


def test_a_later_failure_is_never_final(net: Net) -> None:
    """Once there was a connection, the server may go away and come back."""
    ours = net.create(first_failure_is_final=True)
    net.run()
    net.server.stop()
    net.run(30)
    net.server.start()
    ours.allocate_code()
    net.run(2)
    assert net.result(ours.get_code())


def test_close_twice_gives_the_same_result(net: Net) -> None:
    """At once, later, and after the end (BEHAVIOUR 16)."""
    ours, _theirs = net.pair()
    waiting = [ours.close(), ours.close()]
    net.run()
    assert [net.result(each) for each in (*waiting, ours.close())] == ["happy"] * 3
    alone = net.create()
    assert [type(ends(net, alone)) for _ in range(2)] == [holdfast.LonelyError] * 2
    assert net.network.moods.count("happy") == 1


def test_the_delegate_is_told_once(net: Net) -> None:
    """However often `close` is called."""
    ours, delegate, _ = met(net)
    ours.close()
    ours.close()
    net.run()
    ours.close()
    net.run()
    assert delegate.got("closed") == "happy"


def test_close_before_a_code(net: Net) -> None:
    """LonelyError, connected or not yet, and nothing was asked of the server."""
    before, connected = net.create(), net.create()
    assert isinstance(ends(net, before), holdfast.LonelyError)
    assert isinstance(ends(net, connected), holdfast.LonelyError)
    assert {frame["type"] for frame in net.network.frames} <= {"bind"}


def test_close_while_the_code_is_being_allocated(net: Net) -> None:
    """The nameplate that comes too late is given back."""
    ours = net.create()
    ours.allocate_code()
    net.network.step()
    net.network.step()
    assert [frame["type"] for frame in net.network.frames] == ["bind", "allocate"]
    assert isinstance(ends(net, ours), holdfast.LonelyError)
    assert net.server.tables().empty or not net.server.tables().nameplates


def test_close_while_a_code_is_typed(net: Net) -> None:
    """Between nameplate and words: the nameplate is given back."""
    ours = net.create()
    ours.input_code().choose_nameplate("4")
    net.run()
    assert net.server.tables().nameplates
    assert isinstance(ends(net, ours), holdfast.LonelyError)
    assert net.server.tables().empty


def test_close_offline_waits_for_the_server(net: Net) -> None:
    """So that nothing stays allocated (BEHAVIOUR 16); what was sent before arrives (15)."""
    ours, theirs = net.pair()
    net.server.stop()
    net.run()
    ours.send_message(b"on the way out")
    waiting = ours.close()
    net.run(600)
    assert not waiting.called
    net.server.start()
    assert net.result(waiting, seconds=2) == "happy"
    assert net.result(theirs.get_message(), seconds=2) == b"on the way out"
    assert ends(net, theirs) == "happy"
    assert net.server.tables().empty


def test_send_directly_followed_by_close(net: Net) -> None:
    """Everything that was sent arrives (BEHAVIOUR 15)."""
    ours, theirs = net.pair()
    got = [theirs.get_message() for _ in range(50)]
    for number in range(50):
        ours.send_message(b"%d" % number)
    assert ends(net, ours) == "happy"
    assert [net.result(each) for each in got] == [b"%d" % number for number in range(50)]


def test_a_message_after_our_close_is_not_delivered(net: Net) -> None:
    """BEHAVIOUR 17."""
    ours, delegate, theirs = met(net)
    ours.close()
    theirs.send_message(b"too late")
    net.run()
    assert delegate.messages == []


def test_sending_after_close_goes_nowhere(net: Net) -> None:
    """It is no error, and no message."""
    ours, theirs = net.pair()
    waiting = ours.close()
    ours.send_message(b"too late")
    assert net.result(waiting) == "happy"
    got = theirs.get_message()
    theirs.close()
    with pytest.raises(holdfast.WormholeClosed):
        net.result(got)


def test_released_before_closed(net: Net) -> None:
    """The server is asked to close the mailbox when it has confirmed the release."""
    net.network.mute.add("release")
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    ours.close().addErrback(lambda failure: failure.trap(holdfast.LonelyError))
    net.run()
    kinds = [frame["type"] for frame in net.network.frames]
    assert kinds[-1] == "release"
    net.network.say("released")
    net.run()
    assert net.network.frames[-1]["type"] == "close"


@pytest.mark.parametrize("stage", ["claim", "open", "close", "release"])
def test_crowded_for_ever_ends_in_an_error(net: Net, stage: str) -> None:
    """A server that refuses for ever, also the closing, gives ServerError and no waiting."""
    net.network.refusing = dict.fromkeys(("claim", "open", "close"), "crowded")
    if stage in ("close", "release"):
        net.network.refusing = {stage: "crowded"}
    elif stage == "open":
        del net.network.refusing["claim"]
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    ended = ends(net, ours)
    if stage == "release":
        assert isinstance(ended, holdfast.LonelyError), "the server holds nothing of ours then"
    else:
        assert isinstance(ended, holdfast.ServerError)
        assert str(ended) == "crowded"


@pytest.mark.parametrize("mute", ["release", "close", "claim"])
def test_a_server_that_never_answers(net: Net, mute: str) -> None:
    """It is left after as many connections as patience has, and that is an error."""
    net.network.mute.add(mute)
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    waiting: Deferred[str] = ours.close()
    net.run(MOST_CLOSING_TRIES * (CLOSING_PATIENCE + 1) - 10)
    assert not waiting.called
    with pytest.raises(holdfast.ServerError, match="does not answer our closing"):
        net.result(waiting, seconds=20)
    kinds = [frame["type"] for frame in net.network.frames]
    assert kinds.count("bind") == MOST_CLOSING_TRIES
    assert not net.network.connectors
    assert not net.clock.getDelayedCalls() or net.run(5) is None


def test_an_answer_that_waits_for_the_journal(net: Net) -> None:
    """While we do not listen ourselves, a server's silence is not held against it."""
    net.network.mute.add("release")
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    waiting = ours.close()
    [line] = net.network.connectors
    assert line.link is not None
    line.link.is_paused = True
    net.run(MOST_CLOSING_TRIES * 2 * CLOSING_PATIENCE)
    assert not waiting.called
    assert len([each for each in net.network.frames if each["type"] == "bind"]) == 1
    line.link.is_paused = False
    net.network.mute.clear()
    net.network.say("released")
    with pytest.raises(holdfast.LonelyError):
        net.result(waiting)


def test_a_server_that_cuts_every_closing(net: Net) -> None:
    """As the stock server does to whoever closes last when the other side never released."""

    def cut(link: Any, frame: dict[str, Any]) -> None:
        if frame["type"] == "close":
            link.connector.cut()

    net.network.watch = cut
    net.network.mute.add("close")
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    waiting: Deferred[str] = ours.close()
    with pytest.raises(holdfast.ServerError, match="cuts every connection on which we close"):
        net.result(waiting, seconds=MOST_CUT_CLOSINGS * 2)
    assert len(net.network.moods) == MOST_CUT_CLOSINGS
    assert not net.network.connectors


def test_a_closing_that_is_cut_twice_is_no_error(net: Net) -> None:
    """A network that breaks while we close costs nothing."""

    def cut(link: Any, frame: dict[str, Any]) -> None:
        if frame["type"] == "close" and len(net.network.moods) < 2:
            link.connector.cut()

    net.network.watch = cut
    ours, theirs = net.pair()
    net.run()
    waiting: Deferred[str] = ours.close()
    assert net.result(waiting, seconds=10) == "happy"
    theirs.close()


class Held(holdfast.ImmediateJournal):
    """A journal whose commits take their time, while `held` is a list."""

    held: list[Any] | None = None

    def queue_outbound(self, fn: Any, *args: Any, **kwargs: Any) -> None:
        if self.held is None:
            super().queue_outbound(fn, *args, **kwargs)
        else:
            self.held.append(lambda: fn(*args, **kwargs))


def test_connections_lost_while_the_closing_waits_for_its_commit(net: Net) -> None:
    """A closing that never left was cut by nobody, however slow the database is."""
    journal = Held()
    ours, delegate, theirs = met(net, journal=journal)
    journal.held = []
    ours.close()
    for _ in range(2 * MOST_CUT_CLOSINGS):
        ours._happening.contact._connector.cut()
        net.run(2)
    assert "closed" not in delegate.names
    held, journal.held = journal.held, None
    for call in held:
        call()
    net.run(10)
    assert delegate.got("closed") == "happy"
    assert net.network.moods == ["happy"]
    theirs.close()


def test_patience_begins_anew_with_progress(net: Net) -> None:
    """A server that is merely slow is waited for."""
    net.network.mute.update(("release", "close"))
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    waiting = ours.close()
    net.run(CLOSING_PATIENCE * 2.5)
    net.network.say("released")
    net.run(CLOSING_PATIENCE * 2.5)
    assert not waiting.called
    net.network.say("closed")
    with pytest.raises(holdfast.LonelyError):
        net.result(waiting)


def test_a_server_that_keeps_greeting_makes_no_progress(net: Net) -> None:
    """A new welcome every second does not put off the end for ever."""
    net.network.mute.add("release")
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    waiting = ours.close()
    ended: list[Any] = []
    waiting.addBoth(ended.append)
    for number in range(int(MOST_CLOSING_TRIES * CLOSING_PATIENCE) + 20):
        net.network.say("welcome", welcome={"motd": str(number)})
        net.run(1)
    assert ended[0].check(holdfast.ServerError)


def test_time_without_a_connection_is_not_counted(net: Net) -> None:
    """Patience is for servers that are there: an hour offline does not end the closing."""
    net.network.mute.add("release")
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    waiting = ours.close()
    net.run(CLOSING_PATIENCE - 1)
    net.server.stop()
    net.run(3600)
    assert not waiting.called
    net.network.mute.clear()
    net.server.start()
    with pytest.raises(holdfast.LonelyError):
        net.result(waiting, seconds=2)


def test_close_after_the_applications_own_exception(net: Net) -> None:
    """What a delegate raised inside `set_code` is raised there; `close` then tells the delegate."""

    def fail(_: object) -> None:
        raise ArithmeticError

    delegate = Delegate(on={"code": fail})
    ours = net.create(delegate=delegate)
    with pytest.raises(ArithmeticError):
        ours.set_code(CODE)
    assert "closed" not in delegate.names
    ours.close()
    ours.close()
    net.run()
    assert isinstance(delegate.got("closed"), ArithmeticError)
    with pytest.raises(holdfast.WormholeClosed):
        ours.allocate_code()


@pytest.mark.parametrize(
    ("mood", "place", "words"),
    [
        ("happy", ("close", None), "right"),
        ("lonely", ("add", "pake"), "right"),
        ("scary", ("close", None), "wrong"),
    ],
    ids=["happy", "lonely", "scary"],
)
def test_moods_as_the_real_server_stores_them(
    mailbox: MailboxServer, mood: str, place: Any, words: str
) -> None:
    """While a stock peer still has the mailbox open, the server knows how we left it."""
    from twisted.internet import reactor as real

    from tests.harness import reactor
    from tests.harness.scripted import StockPeer

    async def exchange() -> None:
        ours = holdfast.create(APPID, mailbox.url, real)
        ours.set_code(f"55{len(mood)}-right-words")
        stock = StockPeer(mailbox.url, appid=APPID)
        stock.stop_before(*place)
        stock.wormhole.set_code(f"55{len(mood)}-{words}-words")
        ended: list[Any] = []
        if mood == "lonely":
            await stock.stopped()
        elif mood == "happy":
            await ours.get_verifier()
        else:
            with pytest.raises(holdfast.WrongPasswordError):
                await ours.get_verifier()
        ours.close().addBoth(ended.append)
        await reactor.until(lambda: ended, "our end")
        side = ours._inner.exchange.side
        stored = [row["mood"] for row in mailbox.tables().mailbox_sides if row["side"] == side]
        assert stored == [mood]
        stock.go_on()
        closing = stock.close()
        with contextlib.suppress(WormholeError):
            await closing

    reactor.run(exchange)
    mailbox.wait_until_empty()


# A message that no connection survives.


@define(eq=False)
class Fussy:
    """A server that hangs up, unanswered, whenever it is sent a message under *phase*."""

    net: Net
    phase: str
    fault: Fault | None = None
    times: int = 0

    def __attrs_post_init__(self) -> None:
        self.net.network.watch = self.hears

    def hears(self, link: Any, frame: dict[str, Any]) -> None:
        refused = frame["type"] == "add" and frame["phase"] == self.phase
        # What was sent behind it is lost with the connection.
        self.net.network.mute = {"add"} if refused or not link.up else set()
        if refused and link.up:
            self.times += 1
            link.connector.cut(fault=self.fault)


def test_a_message_that_the_server_hangs_up_at(net: Net) -> None:
    """After ten times in a row that is the server's answer, and what is ours is taken away."""
    ours, delegate, _ = met(net)
    fussy = Fussy(net, "1")
    for message in (b"fine", b"not this one", b"behind it"):
        ours.send_message(message)
    ours.close()
    net.run(60)
    ended = delegate.got("closed")
    assert isinstance(ended, holdfast.ServerError)
    assert str(ended).startswith("10 connections in a row ended at our message '1' of 1")
    assert fussy.times == 11, "at first, the receipt for the message before it was lost too"
    assert "errory" in net.network.moods


def test_a_message_that_the_server_says_is_too_long(net: Net) -> None:
    """Then it need not be asked ten times."""
    ours, delegate, _ = met(net)
    fussy = Fussy(net, "0", Fault.TOO_LONG_FOR_THEM)
    ours.send_message(b"too long")
    net.run(60)
    assert str(delegate.got("closed")).startswith("the server does not take our message '0' of")
    assert fussy.times == 1


def test_a_server_that_sends_what_cannot_be_read(net: Net) -> None:
    """The eleventh connection would bring the same."""
    _, delegate, _ = met(net)
    line = net.network.connectors[0]
    for times in range(10):
        assert "closed" not in delegate.names, times
        line.cut(fault=Fault.UNACCEPTABLE)
        net.run(2)
    assert "10 connections in a row ended at what the server sends" in str(delegate.got("closed"))


def test_a_server_that_hangs_up_now_and_then(net: Net) -> None:
    """Nine times in a row at one message, and again nine at the next: both arrive."""
    ours, delegate, theirs = met(net)
    got = [theirs.get_message() for _ in range(2)]
    for phase in ("0", "1"):
        fussy = Fussy(net, phase)
        ours.send_message(phase.encode())
        while fussy.times < 9:
            net.run(1)
        fussy.phase = "none"
        net.run(2)
    assert [net.result(each) for each in got] == [b"0", b"1"]
    assert "closed" not in delegate.names


def test_a_server_that_serves_nobody(net: Net) -> None:
    """One that hangs up before it has shown the mailbox, as with a full disk, is waited for."""
    ours, _, theirs = met(net)
    got = theirs.get_message()
    opened = []

    def hears(link: Any, frame: dict[str, Any]) -> None:
        if frame["type"] == "open":
            opened.append(link)
            net.network.mute = {"open", "ping", "add"}
            link.connector.cut()

    for line in tuple(net.network.connectors):
        line.cut()
    ours.send_message(b"patience")
    net.network.watch = hears
    net.run(60)
    assert len(opened) > 50
    net.network.watch, net.network.mute = lambda link, frame: None, set()
    net.run(2)
    assert net.result(got) == b"patience"
