"""The phases `dilate-N`: said to a peer that understands them, in order, as the same bytes."""

import json
from typing import Any

import pytest

from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.inbox import MOST_EARLY
from holdfast.crypto import phase_key, unseal
from tests.core.clients import Client, alone, dilatable, dilated, happy, reloaded, settle
from tests.core.peers import HandmadePeer

GED = b'{"app_versions": {}, "can-dilate": ["ged"]}'


def in_mailbox(client: Client) -> dict[str, str]:
    """What *client* has put there, by phase."""
    [mailbox] = client.server.mailboxes.values()
    ours = client.exchange.side
    return {phase: body for side, phase, body in mailbox.messages if side == ours}


def said(client: Client, phase: str) -> Any:
    """What *client* has put in its mailbox under *phase*, decrypted."""
    exchange = client.exchange
    body = in_mailbox(client)[phase]
    assert exchange.shared_key is not None
    return unseal(phase_key(exchange.shared_key, exchange.side, phase), bytes.fromhex(body))


def heard(client: Client) -> list[bytes]:
    """What the peer's dilation has said to *client*'s."""
    return [each.plaintext for each in client.told if isinstance(each, out.GotDilation)]


def offering() -> tuple[Client, HandmadePeer]:
    """A client that can dilate, and a peer that can say anything."""
    us = alone().us
    us.exchange.talk.dilation = True
    peer = HandmadePeer(us.code)
    peer.agree(us.exchange.outbox.data.sent[0].body)
    us.happen(peer.pake)
    return us, peer


def test_a_wormhole_that_does_not_dilate_says_what_it_always_said() -> None:
    """Its version message has not changed by a byte."""
    assert said(happy().us, "version") == b'{"app_versions": {"from": "us"}}'


def test_a_wormhole_that_can_dilate_says_so() -> None:
    """As the stock client does."""
    assert json.loads(said(dilatable().us, "version")) == {
        "app_versions": {"from": "us"},
        "can-dilate": ["ged"],
        "dilation-abilities": [{"type": "direct-tcp-v1"}, {"type": "relay-v1"}],
    }


def test_dilate_in_time_makes_it_say_so() -> None:
    """Until there is a key, the application may make up its mind."""
    world = alone()
    assert world.us.happen(ev.Dilate()) == ()
    world.peer.happen(ev.SetCode(world.us.code))
    world.peer.connect()
    settle(world.us, world.peer)
    assert b"ged" in said(world.us, "version")


def test_dilate_too_late_is_nothing() -> None:
    """What the peer was told stays so."""
    us = happy().us
    assert us.happen(ev.Dilate()) is None
    assert not us.exchange.talk.dilation


@pytest.mark.parametrize(
    ("content", "can"),
    [
        (GED, True),
        (b'{"can-dilate": ["1", "ged", 5]}', True),
        (b'{"can-dilate": ["1"]}', False),
        (b'{"can-dilate": "ged"}', False),
        (b'{"can-dilate": {"ged": 1}}', False),
        (b'{"can-dilate": null}', False),
        (b"{}", False),
    ],
)
def test_the_peer_says_whether_it_can(content: bytes, can: bool) -> None:
    """Whatever else it says there does no harm; nothing is said to a peer that cannot."""
    us, peer = offering()
    assert us.exchange.talk.can_dilate is None
    assert us.happen(ev.SendDilation(b"please")) is None
    us.happen(peer.version(content))
    assert us.exchange.talk.can_dilate is can
    assert (us.happen(ev.SendDilation(b"please")) is not None) == can
    assert us.exchange.outbox.data.has("dilate-0") == can


def test_both_hear_each_other_in_order() -> None:
    """As often as the server shows it, and only once our dilation is there."""
    world = dilatable()
    world.us.happen(ev.Dilate())
    for number in range(3):
        world.us.happen(ev.SendDilation(b"ours %d" % number))
    world.us.happen(ev.SendMessage(b"a message"))
    settle(world.us, world.peer)
    assert heard(world.peer) == []
    assert world.peer.messages == [b"a message"]
    world.peer.exchange = reloaded(world.peer.exchange)
    world.peer.happen(ev.Dilate())
    world.peer.lose()
    world.peer.connect()
    settle(world.peer)
    assert heard(world.peer) == [b"ours 0", b"ours 1", b"ours 2"]
    world.us.happen(ev.SendDilation(b"ours 3"))
    world.peer.happen(ev.SendDilation(b"theirs 0"))
    settle(world.us, world.peer)
    assert heard(world.peer)[3:] == [b"ours 3"]
    assert heard(world.us) == [b"theirs 0"]


def test_what_comes_out_of_order_waits() -> None:
    """The messages of the application and of the dilation do not wait for each other."""
    us, peer = offering()
    us.happen(peer.version(GED))
    us.happen(ev.Dilate())
    assert us.happen(peer.message("dilate-1", b"second")) == ()
    assert us.happen(peer.message("1", b"later")) == ()
    assert us.happen(peer.message("dilate-0", b"first")) == (
        out.GotDilation(b"first"),
        out.GotDilation(b"second"),
    )
    assert us.happen(peer.message("dilate-1", b"second")) is None
    assert us.messages == []


def test_what_waits_is_bounded() -> None:
    """A peer whose messages nobody hears cannot make us keep more and more."""
    us, peer = offering()
    us.happen(peer.version(GED))
    for number in range(MOST_EARLY):
        assert us.happen(peer.message(f"dilate-{number}", b"?")) == ()
    us.happen(peer.message(f"dilate-{MOST_EARLY}", b"?"))
    settle(us)
    assert us.ending.error == "PeerError"


def test_a_message_of_a_stranger_ends_it_as_any_other_does() -> None:
    """Whoever has not our key is not our peer."""
    us, peer = offering()
    us.happen(ev.MessageArrived(peer.name, "dilate-0", b"no such key"))
    settle(us)
    assert us.ending.error == "WrongPasswordError"


def test_a_server_that_forgot_gets_again_what_the_peer_may_lack() -> None:
    """As the same bytes, but not what the peer has shown to have."""
    world = dilated()
    settle(world.us)
    bodies = in_mailbox(world.us)
    world.us.lose()
    world.server.forget()
    world.us.exchange = reloaded(world.us.exchange)
    world.us.connect()
    settle(world.us)
    del bodies["dilate-0"]
    assert in_mailbox(world.us) == bodies


def test_what_the_peer_has_is_not_kept() -> None:
    """However often there was a new connection, only what came since is in the document."""
    us = dilated().us
    for number in range(50):
        us.happen(ev.SendDilation(b"again"))
        settle(us)
        us.happen(ev.DilationSeen(number + 4))
    data = us.exchange.outbox.data
    assert (data.dilations, data.dilations_done, data.next_dilation) == ((), 53, 53)
    us.happen(ev.SendDilation(b"not stored yet"))
    us.happen(ev.DilationSeen(10**6))
    assert data.awaits("dilate-53")
    assert us.happen(ev.DilationSeen(5)) is None


def test_a_replay_costs_no_memory() -> None:
    """A mailbox shows everything again on every connection."""
    us = dilated().us
    settle(us)
    us.happen(ev.DilationSeen(2))
    us.exchange = reloaded(us.exchange)
    us.lose()
    us.connect()
    settle(us)
    assert us.said.there == {"pake", "version", "dilate-2"}
    us.said.compact(us.exchange)
    assert us.said.there == {"pake", "version"}


def test_nothing_is_said_behind_the_end() -> None:
    """A wormhole that closes does not dilate any more."""
    us = dilated().us
    us.happen(ev.Close())
    for event in (ev.SendDilation(b"x"), ev.DilationSeen(3), ev.Dilate()):
        assert us.happen(event) is None
    settle(us)
    assert us.ending == out.Closed("happy", "", "")
