"""Every way to end ends: one notice, a bounded number of connections, nothing left behind.

One test goes through what can happen in a stage: thousands of small ones would take seconds.
"""

import json
from itertools import product

import pytest

from holdfast.core import checkpoint
from holdfast.core import events as ev
from holdfast.core import notices as out
from tests.core.clients import STAGES, World, alone, run_to_the_end, settle
from tests.core.record import RELAY

WELL = ("happy", "happy_unsent", "dilatable", "dilated")
EVERYWHERE = pytest.mark.parametrize("stage", STAGES)


def begun(stage: str) -> World:
    return STAGES[stage]()


def ended(world: World, connections: int = 3) -> out.Closed:
    """Run ours to its end; then let the peer, if there is one, come to its own."""
    run_to_the_end(world.us, connections=connections)
    return world.us.ending


def everything_given_back(world: World) -> bool:
    """Whether the server holds nothing of ours."""
    side = world.us.exchange.side
    return not any(side in each.claims for each in world.server.nameplates.values()) and not any(
        side in each.sides - each.closed for each in world.server.mailboxes.values()
    )


@EVERYWHERE
@pytest.mark.parametrize("how", ["connected", "cut", "killed"])
def test_close_ends_in_every_stage(stage: str, how: str) -> None:
    """close() gives everything back and ends once, on this connection or on the next."""
    world = begun(stage)
    if how == "cut":
        world.us.lose()
    elif how == "killed":
        world.us.die()
    world.us.happen(ev.Close())
    ending = ended(world)
    assert everything_given_back(world)
    if stage in WELL:
        assert ending == out.Closed("happy", "", "")
    else:
        assert ending == out.Closed("lonely", "LonelyError", "")


@EVERYWHERE
@pytest.mark.parametrize("how", ["cut", "killed"])
def test_close_survives_the_connection_and_the_process(stage: str, how: str) -> None:
    """What happens right after close() costs no more than another connection."""
    world = begun(stage)
    world.us.happen(ev.Close())
    world.us.lose() if how == "cut" else world.us.die()
    assert ended(world).mood == ("happy" if stage in WELL else "lonely")
    assert everything_given_back(world)


@pytest.mark.parametrize("how", ["connected", "cut", "killed"])
def test_send_then_close_arrives(how: str) -> None:
    """Messages sent directly before close() reach the peer, also when the connection was gone."""
    world = begun("happy")
    if how == "cut":
        world.us.lose()
    elif how == "killed":
        world.us.die()
    world.us.happen(ev.SendMessage(b"one"))
    world.us.happen(ev.SendMessage(b""))
    world.us.happen(ev.Close())
    ended(world)
    settle(world.peer)
    assert world.peer.messages == [b"one", b""]


def test_closing_twice_is_closing_once() -> None:
    """The second close() says nothing new, before the end and after it."""
    world = begun("happy")
    assert world.us.happen(ev.Close()) == ()
    assert world.us.happen(ev.Close()) is None
    ended(world)
    assert world.us.happen(ev.Close()) is None


@EVERYWHERE
@pytest.mark.parametrize("again", ["the same connection", "a later connection"])
def test_unwelcome_ends(stage: str, again: str) -> None:
    """An error in the welcome ends the wormhole with its very words, whenever it comes."""
    world = begun(stage)
    if again == "a later connection":
        world.us.lose()
        world.server.model.welcome = {"error": "go away"}
    elif world.us.line is not None:
        world.us.hear(json.dumps({"type": "welcome", "welcome": {"error": "go away"}}))
    else:
        world.server.model.welcome = {"error": "go away"}
    assert ended(world, connections=1) == out.Closed("unwelcome", "WelcomeError", "go away")
    unanswered = ("allocate_answered", "claiming", "claimed_again")
    assert everything_given_back(world) or stage in unanswered


@pytest.mark.parametrize("error", [False, 0, "", {}, ["a"], 10**30], ids=str)
def test_an_error_of_any_type_is_unwelcome(error: object) -> None:
    """Whatever stands under `error` in a welcome, the server does not want us."""
    world = begun("allocate_wanted")
    world.server.model.welcome = {"error": error}
    assert ended(world) == out.Closed("unwelcome", "WelcomeError", str(error))


@EVERYWHERE
def test_a_server_that_refuses_for_ever_is_left(stage: str) -> None:
    """Refusals that never stop end in an error or in a close, and never in waiting."""
    for refusing in ("bind", "allocate", "claim", "open", "add", "all"):
        refuses_for_ever(stage, refusing)


def refuses_for_ever(stage: str, refusing: str) -> None:
    world = begun(stage)
    kinds = {"allocate", "claim", "open", "add", "close", "release"}
    world.server.refusing = {refusing} if refusing != "all" else kinds
    world.server.refusal = "no way"
    world.us.lose()
    settle(world.us)
    world.us.connect()
    settle(world.us)
    world.us.happen(ev.Close())
    ending = ended(world)
    assert ending.error in ("", "LonelyError", "ServerError", "CodeLostError")
    if ending.error == "ServerError":
        assert ending == out.Closed("errory", "ServerError", "no way")


@EVERYWHERE
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crowded_mailbox_ends_in_an_error_of_its_own(stage: str, moment: str) -> None:
    """`crowded` as the only answer to open, claim and close ends in CrowdedError (mw#408)."""
    world = begun(stage)
    world.server.refusing = {"open", "claim", "close"}
    world.us.lose()
    if moment == "after":
        world.us.happen(ev.Close())
        ending = ended(world)
        untouched = (
            *("no_code", "allocate_wanted", "allocate_asked", "code_set", "absent"),
            "replaced",
        )
        touched = stage not in untouched
        assert ending.error == ("CrowdedError" if touched else "LonelyError")
    elif stage != "no_code":
        assert ended(world) == out.Closed("errory", "CrowdedError", "crowded")
        assert not world.server.nameplates or "claim" in world.server.refusing


KINDS = ["bind", "allocate", "claim", "open", "add", "release", "close", "no such kind", None]


@EVERYWHERE
def test_an_error_frame_ends_it(stage: str) -> None:
    """An error frame about anything, in any stage, ends the wormhole with the server's words."""
    for about, closing in product(KINDS, (False, True)):
        an_error_comes(stage, closing, about)


def an_error_comes(stage: str, closing: bool, about: str | None) -> None:
    world = begun(stage)
    if closing:
        world.us.happen(ev.Close())
    if world.us.exchange.ended:
        return
    exchange = world.us.exchange
    giving_back = exchange.nameplate.state in ("releasing", "yielding")
    harmless = (about == "release" and giving_back) or (
        # It was the one that the server had forgotten.
        about == "close" and exchange.well and exchange.mailbox.state == "closing"
    )
    orig = {} if about is None else {"type": about}
    world.us.hear(json.dumps({"type": "error", "error": "no\nway", "orig": orig}))
    if not harmless:
        assert ended(world) == out.Closed("errory", "ServerError", "no\nway")
    else:
        world.us.happen(ev.Close())
        assert ended(world).error in ("", "LonelyError")


MALFORMED = [
    "",
    "{",
    "[]",
    '{"type": 1}',
    '{"type": "welcome"}',
    '{"type": "welcome", "welcome": []}',
    '{"type": "claimed"}',
    '{"type": "claimed", "mailbox": ""}',
    '{"type": "allocated", "nameplate": "x"}',
    '{"type": "error"}',
    "[" * 100_000,
]


@EVERYWHERE
def test_a_malformed_frame_ends_it(stage: str) -> None:
    """What no server may send ends the wormhole in ServerError, in any stage."""
    for text in MALFORMED:
        hears(stage, text)


def hears(stage: str, text: str) -> None:
    world = begun(stage)
    world.us.hear(text)
    ending = ended(world, connections=1)
    assert (ending.mood, ending.error) == ("errory", "ServerError")
    assert ending.detail.startswith("the server ")


@EVERYWHERE
def test_only_malformed_frames_end_it(stage: str) -> None:
    """A server that answers everything with rubbish gets no more than two of our attempts."""
    world = begun(stage)
    world.us.hear("{}")
    if not world.us.exchange.ended:
        world.us.hear("{}")
    assert world.us.ending.error == "ServerError"


@EVERYWHERE
def test_a_cut_while_leaving_is_the_end(stage: str) -> None:
    """After the server failed us, the end of the connection is the end of the wormhole."""
    for kind in ("allocate", "claim", "open", "add", "release", "close"):
        is_cut_at(stage, kind)


def is_cut_at(stage: str, kind: str) -> None:
    world = begun(stage)
    world.us.hear("{}")
    world.server.cutting = {kind, "release", "close"}
    assert ended(world, connections=1).error == "ServerError"


def test_wrong_code_is_scary() -> None:
    """A message that does not decrypt closes with the mood scary and WrongPasswordError."""
    world = begun("alone")
    world.peer.happen(ev.SetCode("1-other-words"))
    world.peer.connect()
    settle(world.us, world.peer)
    for client in (world.us, world.peer):
        assert client.ending == out.Closed("scary", "WrongPasswordError", "")
    assert not world.server.nameplates and not world.server.mailboxes


def test_a_later_error_does_not_hide_the_scare() -> None:
    """Once the codes differ, a later error of the server changes neither error nor mood."""
    world = begun("happy")
    mailbox = world.us.exchange.mailbox.data.mailbox
    world.us.happen(ev.MessageArrived("stranger", "0", b"junk"))
    world.server.refusing = {"close"}
    assert ended(world) == out.Closed("scary", "WrongPasswordError", "")
    frames = [frame for side, frame in world.server.log if side == world.us.exchange.side]
    assert frames[-1]["type"] == "close"
    assert (frames[-1]["mailbox"], frames[-1]["mood"]) == (mailbox, "scary")


def test_refusals_of_what_was_said_before_do_not_stop_the_leaving() -> None:
    """After `crowded`, the errors about frames in the same burst keep nobody from cleaning up."""
    world = begun("claimed")
    world.server.refusing = {"open", "add"}
    assert ended(world) == out.Closed("errory", "CrowdedError", "crowded")
    assert everything_given_back(world)


@EVERYWHERE
def test_nothing_is_told_after_the_end(stage: str) -> None:
    """An ended wormhole hears nothing, says nothing and stays as it is."""
    world = begun(stage)
    world.us.happen(ev.Close())
    ended(world)
    us = world.us
    before = us.exchange.serialize()
    for event in (
        ev.Welcomed({"error": "late"}),
        ev.Allocated("7"),
        ev.Claimed("m"),
        ev.MessageArrived(us.exchange.side, "pake", b""),
        ev.MessageArrived("peer", "pake", b""),
        ev.NameplateReleased(),
        ev.MailboxClosed(),
        ev.Refused("late", "close"),
        ev.ServerMisbehaved("late"),
        ev.ConnectionLost(),
        ev.SendMessage(b"late"),
        ev.Close(),
    ):
        assert us.exchange.apply(event, bytes(32)) is None
    assert us.exchange.serialize() == before


def test_a_scared_wormhole_keeps_no_unsent_secret() -> None:
    """What will never be sent is in no checkpoint any more, nor once an old one is loaded."""
    world = alone()
    world.us.happen(ev.SendMessage(b"secret"))
    document = world.us.exchange.serialize()
    assert b"secret".hex() in json.dumps(document)
    world.us.happen(ev.MessageArrived("stranger", "pake", b"no pake"))
    assert world.us.exchange.lifecycle.data.mood == "scary"
    assert b"secret".hex() not in json.dumps(world.us.exchange.serialize())
    old = world.us.exchange.serialize()
    old["outbox"]["data"]["queued"] = [b"secret".hex()]  # type: ignore[index]
    document = {"version": 1, "relay": RELAY, "exchange": old, "pending": []}
    assert b"secret".hex() not in json.dumps(checkpoint.load(document).exchange.serialize())
