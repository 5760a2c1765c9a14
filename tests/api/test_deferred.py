"""Section "Modes", Deferred mode: when Deferreds fire, and when they fail."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

import holdfast
from tests.api.world import CODE, Net

EVENTS = ["welcome", "code", "unverified_key", "verifier", "versions", "message"]
GETS = [f"get_{name}" for name in EVENTS]


def outcomes(*waiting: Deferred[Any]) -> list[Any]:
    """What they come to, in their order of firing."""
    found: list[Any] = []
    for each in waiting:
        each.addBoth(found.append)
    return found


@pytest.mark.parametrize("get", GETS)
def test_asked_for_before_and_after_the_event(net: Net, get: str) -> None:
    """A Deferred that was asked for before the event fires, and one asked for after it does too."""
    ours, theirs = net.create(), net.create()
    before = [getattr(ours, get)() for _ in range(2)]
    ours.set_code(CODE)
    theirs.set_code(CODE)
    for _ in range(3):
        theirs.send_message(b"same")
    net.run()
    after = getattr(ours, get)()
    values = [net.result(each) for each in (*before, after)]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("get", GETS)
def test_never_inside_the_call_that_caused_it(net: Net, get: str) -> None:
    """Deferreds fire in a later turn of the reactor, also when the event is long past."""
    ours, theirs = net.pair()
    theirs.send_message(b"x")
    net.run()
    waiting = getattr(ours, get)()
    assert not waiting.called
    net.run()
    assert waiting.called


def test_code_does_not_fire_inside_set_code(net: Net) -> None:
    """Unlike a delegate's method (BEHAVIOUR 21)."""
    ours = net.create()
    waiting = ours.get_code()
    ours.set_code(CODE)
    assert not waiting.called
    assert net.result(waiting) == CODE


def test_several_get_message_are_served_first_come_first_served(net: Net) -> None:
    """Three wait and three messages come: in order; further messages are queued."""
    ours, theirs = net.pair()
    got = outcomes(*(ours.get_message() for _ in range(3)))
    for number in range(5):
        theirs.send_message(b"%d" % number)
    net.run()
    assert got == [b"0", b"1", b"2"]
    assert net.result(ours.get_message()) == b"3"
    assert net.result(ours.get_message()) == b"4"


def ended_badly(net: Net) -> tuple[Any, type[Exception]]:
    ours, theirs = net.create(), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE + "x")
    return ours, holdfast.WrongPasswordError


def refused(net: Net) -> tuple[Any, type[Exception]]:
    net.network.refusing["claim"] = "crowded"
    ours = net.create()
    ours.set_code(CODE)
    return ours, holdfast.CrowdedError


def unwelcome(net: Net) -> tuple[Any, type[Exception]]:
    net.server.welcome = {"error": "go away", "motd": "hello"}
    return net.create(), holdfast.WelcomeError


def lonely(net: Net) -> tuple[Any, type[Exception]]:
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    ours.close().addErrback(lambda failure: failure.trap(holdfast.LonelyError))
    return ours, holdfast.LonelyError


BAD_ENDS: list[Callable[[Net], tuple[Any, type[Exception]]]] = [
    ended_badly,
    refused,
    unwelcome,
    lonely,
]


@pytest.mark.parametrize("bad_end", BAD_ENDS)
def test_everything_fails_after_a_bad_end(net: Net, bad_end: Any) -> None:
    """Every `get_`, those that had fired included, and `close` fail with that error."""
    ours, error = bad_end(net)
    waiting = [ours.get_message(), ours.get_versions()]
    net.run()
    found = outcomes(*waiting, *(getattr(ours, get)() for get in GETS), ours.close(), ours.close())
    net.run()
    assert len(found) == len(GETS) + 4
    assert [failure.type for failure in found] == [error] * len(found)


def test_pending_deferreds_errback_when_the_server_is_unwelcoming(net: Net) -> None:
    """Also `get_welcome`: a welcome with an error is none."""
    ours, error = unwelcome(net)
    waiting = [getattr(ours, get)() for get in GETS]
    found = outcomes(*waiting)
    net.run()
    assert [failure.type for failure in found] == [error] * len(GETS)


def test_everything_fails_when_a_message_does_not_decrypt_after_a_happy_start(net: Net) -> None:
    """Even those that had fired fail from then on (BEHAVIOUR 9)."""
    ours, _ = net.pair()
    assert len(net.result(ours.get_verifier())) == 32
    waiting = ours.get_message()
    net.network.say("message", side="stranger", phase="0", body="00" * 50)
    first = outcomes(waiting)
    net.run()
    rest = outcomes(*(getattr(ours, get)() for get in GETS), ours.close())
    net.run()
    found = first + rest
    assert {failure.type for failure in found} == {holdfast.WrongPasswordError}
    assert len(found) == len(GETS) + 2


def test_after_a_happy_end_everything_fails_with_wormhole_closed(net: Net) -> None:
    """At once, also `get_message` with unread messages waiting (BEHAVIOUR 10)."""
    ours, theirs = net.pair()
    theirs.send_message(b"never read")
    net.run()
    waiting = ours.get_message()
    assert net.result(waiting) == b"never read"
    theirs.send_message(b"never read either")
    net.run()
    assert net.result(ours.close()) == "happy"
    found = outcomes(*(getattr(ours, get)() for get in GETS))
    net.run()
    assert [failure.type for failure in found] == [holdfast.WormholeClosed] * len(GETS)
    assert not issubclass(holdfast.WormholeClosed, holdfast.WormholeError)


def test_pending_ones_fail_with_wormhole_closed_too(net: Net) -> None:
    """A `get_message` that waits when we close happily does not wait for ever."""
    ours, _ = net.pair()
    found = outcomes(ours.get_message())
    ours.close()
    net.run()
    assert found[0].check(holdfast.WormholeClosed)


def test_a_message_that_came_before_the_end_is_not_lost(net: Net) -> None:
    """Whoever waited for it when it came gets it, though the end came in the same turn."""
    ours, theirs = net.pair()
    waiting = ours.get_message()
    theirs.send_message(b"last words")
    # Let the message and the end arrive without a turn of the reactor in between.
    while net.network.queue:
        net.network.step()
    ours._observers.wormhole_closed("happy")
    assert net.result(waiting) == b"last words"


@pytest.mark.parametrize("get", GETS)
def test_a_cancelled_deferred_takes_nothing_away(net: Net, get: str) -> None:
    """Its CancelledError is its owner's; the event goes to whoever still waits."""
    ours, theirs = net.create(), net.create()
    cancelled, other = getattr(ours, get)(), getattr(ours, get)()
    found = outcomes(cancelled)
    cancelled.cancel()
    assert found[0].check(CancelledError)
    ours.set_code(CODE)
    theirs.set_code(CODE)
    theirs.send_message(b"x")
    assert net.result(other) is not None


def test_close_can_be_cancelled_and_asked_for_again(net: Net) -> None:
    """Cancelling the waiting for the end is not cancelling the end."""
    ours, _ = net.pair()
    waiting = ours.close()
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.cancel()
    assert net.result(ours.close()) == "happy"


def test_each_is_awaitable(net: Net) -> None:
    """Every `get_` and `close` can be awaited in a coroutine."""
    ours, theirs = net.pair()
    theirs.send_message(b"x")

    async def go() -> list[Any]:
        return [await getattr(ours, get)() for get in GETS] + [await ours.close()]

    found = net.result(Deferred.fromCoroutine(go()))
    assert found[1] == CODE
    assert found[-2:] == [b"x", "happy"]


def test_serialize_is_refused(net: Net) -> None:
    """Deferreds cannot be saved, and the error says what to do."""
    with pytest.raises(holdfast.CannotSerialize, match="delegate"):
        net.create().serialize()
