"""What real peers do and the API document leaves open; the numbers are those of BEHAVIOUR.md."""

import json
from typing import Any
from unicodedata import normalize

import pytest

from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Claim
from holdfast.core.inbox import MOST_EARLY, MOST_LOCKED
from holdfast.core.key import KEY, Key
from holdfast.core.outbox import Sent
from holdfast.crypto import derive, finish, phase_key, seal, start_with, verifier
from holdfast.errors import BadCheckpoint, OnlyOneCodeError
from tests.core.clients import APPID, Client, alone, happy, seed, settle
from tests.core.mailboxes import Server
from tests.core.peers import HandmadePeer


def met() -> tuple[Client, HandmadePeer]:
    """A client that is alone in its mailbox, and a peer that can say anything there."""
    us = alone().us
    peer = HandmadePeer(us.code)
    [sent] = us.exchange.outbox.data.sent
    peer.agree(sent.body)
    return us, peer


def kinds(client: Client) -> list[type]:
    return [type(each) for each in client.told if not isinstance(each, out.GotWelcome)]


def test_02_codes_are_normalized() -> None:
    """One side types NFD and the other NFC: they agree on a key."""
    server = Server()
    clients = [Client("a", server), Client("b", server)]
    for client, form in zip(clients, ("NFC", "NFD"), strict=True):
        client.happen(ev.SetCode(normalize(form, "4-p\u00fcrple")))
        client.connect()
    settle(*clients)
    assert {client.exchange.lifecycle.state for client in clients} == {"happy"}


def test_03_the_verifier_has_32_bytes_and_both_see_it() -> None:
    """The verifier is derived from the key, 32 bytes, alike at both ends."""
    world = happy()
    [ours] = [each.verifier for each in world.us.told if isinstance(each, out.GotVerifier)]
    [theirs] = [each.verifier for each in world.peer.told if isinstance(each, out.GotVerifier)]
    assert ours == theirs
    assert len(ours) == 32


def test_04_any_message_that_decrypts_proves_the_key() -> None:
    """Data before VERSION: the verifier fires then, and versions waits for VERSION."""
    us, peer = met()
    us.happen(peer.pake)
    notices = us.happen(peer.message("0", b"early"))
    assert notices is not None
    assert [type(each) for each in notices] == [out.GotVerifier, out.GotMessage]
    assert us.happen(peer.version()) == (out.GotVersions({"a": 1}),)


def test_05_duplicates_are_told_by_phase_alone() -> None:
    """The same phase again is ignored, also with other valid content, delivered or still early."""
    us, peer = met()
    for event in (peer.pake, peer.version(), peer.message("0", b"first"), peer.message("2", b"2")):
        assert us.happen(event) is not None
    for event in (
        peer.pake,
        HandmadePeer("9-x").pake,
        peer.version(b"{}"),
        peer.message("0", b"other"),
        peer.message("2", b"other"),
        ev.MessageArrived(peer.name, "0", b"junk"),
    ):
        assert us.happen(event) is None
    us.happen(peer.message("1", b"1"))
    assert us.messages == [b"first", b"1", b"2"]


def test_06_nothing_is_a_message() -> None:
    """b"" is delivered like any other."""
    world = happy()
    world.us.happen(ev.SendMessage(b""))
    settle(world.us, world.peer)
    assert world.peer.messages == [b""]


def test_07_nothing_leaves_before_the_key_is_verified() -> None:
    """A merely agreed key lets nothing of the application's out; a verified one lets it all out."""
    us, peer = met()
    us.happen(ev.SendMessage(b"one"))
    us.happen(ev.SendMessage(b"two"))
    us.happen(peer.pake)
    settle(us)
    assert [sent.phase for sent in us.exchange.outbox.data.sent] == ["pake", "version"]
    us.happen(peer.version())
    assert [sent.phase for sent in us.exchange.outbox.data.sent] == ["pake", "version", "0", "1"]


def test_08_different_codes() -> None:
    """Both sides get an unverified key each, not the same, and then WrongPasswordError."""
    world = alone()
    world.peer.happen(ev.SetCode(world.us.code + "x"))
    world.peer.connect()
    settle(world.us, world.peer)
    keys = []
    for client in (world.us, world.peer):
        assert kinds(client) == [out.GotCode, out.GotUnverifiedKey, out.Closed]
        keys += [each.key for each in client.told if isinstance(each, out.GotUnverifiedKey)]
        frames = [frame for side, frame in world.server.log if side == client.exchange.side]
        assert [f["mood"] for f in frames if f["type"] == "close"] == ["scary"]
    assert keys[0] != keys[1]
    assert not world.server.nameplates and not world.server.mailboxes


def test_09_a_bad_message_after_a_happy_start_is_scary() -> None:
    """Verified or not, a message that does not decrypt ends the wormhole scared."""
    world = happy()
    world.us.happen(ev.MessageArrived("stranger", "0", bytes(80)))
    settle(world.us)
    assert world.us.ending == out.Closed("scary", "WrongPasswordError", "")


def test_11_an_unverified_key_is_lonely() -> None:
    """Closed before a verified peer is LonelyError, also with an unverified key."""
    us, peer = met()
    us.happen(peer.pake)
    us.happen(ev.Close())
    settle(us)
    assert us.ending == out.Closed("lonely", "LonelyError", "")


@pytest.mark.parametrize("text", ["crowded", "", "  \u00e4\n", "x" * 500], ids=repr)
def test_12_a_servers_error_has_exactly_its_text(text: str) -> None:
    """An `error` frame gives ServerError with the server's own words."""
    us = alone().us
    us.hear(json.dumps({"type": "error", "error": text, "orig": {}}))
    settle(us)
    assert us.ending == out.Closed("errory", "ServerError", text)


def test_14_release_goes_out_once_with_the_first_message() -> None:
    """The peer's first message releases the nameplate, and no later connection claims it again."""
    us, peer = met()
    us.server.put(us.exchange.mailbox.data.mailbox, peer.name, "pake", peer.pake.body.hex())
    settle(us)
    us.lose()
    us.connect()
    settle(us)
    frames = [f["type"] for _, f in us.server.log]
    assert frames.count("claim") == frames.count("release") == 1
    assert frames.count("open") == 2
    assert len({f["side"] for _, f in us.server.log if f["type"] == "bind"}) == 1


def test_14_the_replay_fires_no_event_twice() -> None:
    """After a reconnection the server shows everything again, and nobody is told twice."""
    world = happy()
    world.peer.happen(ev.SendMessage(b"one"))
    settle(world.us, world.peer)
    told = list(world.us.told)
    world.us.lose()
    world.us.connect()
    settle(world.us)
    assert world.us.told == told


def test_14_what_was_not_echoed_is_added_again_byte_for_byte() -> None:
    """The server lost a message: the very same bytes go again under the same phase."""
    world = happy()
    world.us.happen(ev.SendMessage(b"one"))
    lost = list(world.us.line.up) if world.us.line else []
    world.us.lose()
    world.us.connect()
    settle(world.us, world.peer)
    [(_, added)] = [each for each in world.server.log if each[1].get("phase") == "0"]
    assert json.loads(lost[0]) == added
    assert world.peer.messages == [b"one"]


def test_17_a_message_after_our_close_is_not_delivered() -> None:
    """What arrives between our close and its confirmation goes nowhere."""
    us, peer = met()
    us.happen(peer.pake)
    us.happen(peer.version())
    us.happen(ev.Close())
    assert us.happen(peer.message("0", b"late")) is None


@pytest.mark.parametrize("first", [ev.AllocateCode(2), ev.SetCode("4-a")], ids=repr)
@pytest.mark.parametrize("second", [ev.AllocateCode(2), ev.SetCode("4-a")], ids=repr)
def test_18_there_is_only_one_code(first: ev.Event, second: ev.Event) -> None:
    """Any second one of allocate and set raises at once, and changes nothing."""
    exchange = Exchange(APPID, "side")
    exchange.apply(first, seed(1))
    before = exchange.serialize()
    with pytest.raises(OnlyOneCodeError):
        exchange.apply(second, seed(2))
    assert exchange.serialize() == before


def test_19_the_peers_pake_may_come_before_our_words() -> None:
    """It is kept; nothing is put into the mailbox before the code is complete."""
    part = KEY.begin(Key())
    assert part.change().keep("bb") == ()
    assert (part.state, part.data.theirs) == ("answered", "bb")


def test_22_the_order_of_notices() -> None:
    """Code, key, verifier, versions, messages, closed: last and once."""
    world = happy()
    world.peer.happen(ev.SendMessage(b"one"))
    settle(world.us, world.peer)
    world.us.happen(ev.Close())
    settle(world.us)
    assert kinds(world.us) == [
        out.GotCode,
        out.GotUnverifiedKey,
        out.GotVerifier,
        out.GotVersions,
        out.GotMessage,
        out.Closed,
    ]


def test_the_applications_copy_of_the_welcome_is_its_own() -> None:
    """Whatever a delegate does to the welcome, the same one is not told again."""
    exchange = Exchange(APPID, "side")
    notices = exchange.apply(ev.Welcomed({"motd": {"a": 1}}), seed(1))
    assert notices is not None
    [told] = notices
    assert isinstance(told, out.GotWelcome)
    told.welcome["motd"]["a"] = 2
    assert exchange.apply(ev.Welcomed({"motd": {"a": 1}}), seed(2)) is None


# Hostile peers.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"pake_v1": 1}',
        b'{"pake_v1": "zz"}',
        b'{"pake_v1": "53"}',
        b'{"pake_v1": "' + b"53" * 33 + b'"}',
        b'{"pake_v1": "41' + b"00" * 32 + b'"}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_bad_pake_is_scary(body: bytes) -> None:
    """A first message that no honest client sends ends the wormhole scared."""
    us, peer = met()
    us.happen(ev.MessageArrived(peer.name, "pake", body))
    settle(us)
    assert us.ending == out.Closed("scary", "WrongPasswordError", "")


def test_our_own_half_reflected_is_scary() -> None:
    """Our own element under another side's name is refused."""
    us, peer = met()
    [sent] = us.exchange.outbox.data.sent
    us.happen(ev.MessageArrived(peer.name, "pake", bytes.fromhex(sent.body)))
    settle(us)
    assert us.ending.error == "WrongPasswordError"


DEEP = b'{"app_versions": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}"


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"null", b'{"app_versions": []}', b'{"app_versions": {"n": NaN}}', DEEP],
    ids=lambda content: repr(content[:30]),
)
def test_a_bad_version_message_is_the_peers_error(content: bytes) -> None:
    """A peer that proved itself and then breaks the protocol ends the wormhole in PeerError."""
    us, peer = met()
    us.happen(peer.pake)
    us.happen(peer.version(content))
    settle(us)
    assert (us.ending.mood, us.ending.error) == ("errory", "PeerError")


@pytest.mark.parametrize("content", [b"{}", b'{"can-dilate": ["ged"], "abilities": []}'], ids=repr)
def test_missing_versions_are_empty(content: bytes) -> None:
    """Keys that are missing from a version message are empty, and unknown ones are ignored."""
    us, peer = met()
    us.happen(peer.pake)
    notices = us.happen(peer.version(content))
    assert notices is not None
    assert notices[-1] == out.GotVersions({})


@pytest.mark.parametrize("phase", ["", "dilate-0", "01", "-1", "+1", "1.0", "١", "1" * 10, "pakes"])
def test_unknown_phases_are_ignored(phase: str) -> None:
    """A phase that we do not know says nothing, before the key and after it."""
    us, peer = met()
    us.happen(peer.pake)
    assert us.happen(ev.MessageArrived(peer.name, phase, b"anything")) is None
    us.happen(peer.version())
    assert us.happen(ev.MessageArrived(peer.name, phase, b"anything")) is None


def test_a_flood_before_the_key_is_bounded() -> None:
    """Strangers can make us keep only so much before there is a key."""
    us, _ = met()
    for number in range(MOST_LOCKED):
        assert us.happen(ev.MessageArrived("x", str(number), b"?")) == ()
    assert us.exchange.well
    us.happen(ev.MessageArrived("x", str(MOST_LOCKED), b"?"))
    settle(us)
    assert us.ending.error == "PeerError"
    assert us.exchange.inbox.data.locked == []


def test_the_bytes_of_a_flood_before_the_key_are_bounded() -> None:
    """Nor can they with few large messages."""
    us, _ = met()
    for number in range(5):
        us.happen(ev.MessageArrived("x", str(number), bytes(300_000)))
    settle(us)
    assert us.ending.error == "PeerError"


def test_a_flood_out_of_order_is_bounded() -> None:
    """A peer that never sends what is next can make us keep only so much."""
    us, peer = met()
    us.happen(peer.pake)
    us.happen(peer.version())
    for number in range(1, MOST_EARLY + 1):
        us.exchange.apply(peer.message(str(number), b"?"), bytes(32))
    assert len(us.exchange.inbox.data.early) == MOST_EARLY
    us.happen(peer.message(str(MOST_EARLY + 1), b"?"))
    settle(us)
    assert us.ending.error == "PeerError"
    assert us.exchange.inbox.data.early == {}


def test_out_of_order_messages_are_put_in_order() -> None:
    """Whatever the order in which they lie in the mailbox, they are delivered by number."""
    us, peer = met()
    us.happen(peer.pake)
    for number in (2, 1, 3, 0, 4):
        us.happen(peer.message(str(number), str(number).encode()))
    assert us.messages == [b"0", b"1", b"2", b"3", b"4"]


def test_messages_before_the_pake_wait_for_it() -> None:
    """The replay may be in any order: what comes before the key is decrypted with it."""
    us, peer = met()
    for event in (peer.message("1", b"b"), peer.version(), peer.message("0", b"a")):
        assert us.happen(event) == ()
    us.happen(peer.pake)
    assert us.messages == [b"a", b"b"]
    assert kinds(us)[1:4] == [out.GotUnverifiedKey, out.GotVerifier, out.GotVersions]


def test_echoes_of_phases_that_we_never_sent_are_not_remembered() -> None:
    """A server cannot fill our memory with messages that it says are ours."""
    us = alone().us
    before = set(us.said.there)
    for number in range(5):
        us.hear(
            json.dumps(
                {"type": "message", "side": us.exchange.side, "phase": f"x{number}", "body": ""}
            )
        )
    assert us.said.there == before


# Known answers.

VECTOR: dict[str, Any] = {
    "code": "4-purple-sausages",
    "appid": "example.com/app1",
    "side": "0a1b2c3d4e",
    "scalar": "5f99314ff64a1e6532979c52691fb85aacbe740fda646e299a1a81816cc84a0a",
    "ours": "534f3a41ceeccea1110145154f1451dbf44e9b3cf7c83c9e9070167642670c7b78",
    "theirs": "53e37bfe84126a44f0d447fa1bf6a6047e747d667ef033029119e29bc58ef41b2d",
    "key": "3dadc079b6b84abdde3703244e7a6f3950742376b00d6193a744028cd30e798c",
    "verifier": "32975e516d94c4505e22ac394e1b9fe4b041d5712f58ae1c12a17ced16326779",
    "nonce": "000102030405060708090a0b0c0d0e0f1011121314151617",
    "sealed": "000102030405060708090a0b0c0d0e0f10111213141516172208037582c789f9bf526f8da69f68a7"
    "020c918e4bd75ad9946d0fb5a2bd36931a3aa801",
}


def test_the_known_exchange_gives_the_known_bytes() -> None:
    """With a known scalar the whole exchange is the one of the test vectors, byte for byte."""
    half = start_with(VECTOR["code"], VECTOR["appid"], VECTOR["scalar"])
    assert half.message.hex() == VECTOR["ours"]
    exchange = Exchange(VECTOR["appid"], VECTOR["side"])
    exchange.apply(ev.SetCode(VECTOR["code"]), seed(1))
    exchange.key.data.scalar = half.scalar
    exchange.outbox.data.sent[0].body = json.dumps({"pake_v1": VECTOR["ours"]}).encode().hex()
    exchange.saying(())
    exchange.nameplate.change().claim()
    exchange.apply(ev.Claimed("m"), seed(2))
    body = json.dumps({"pake_v1": VECTOR["theirs"]}).encode()
    notices = exchange.apply(ev.MessageArrived("f0e1d2c3b4", "pake", body), seed(3))
    assert notices == (out.GotUnverifiedKey(bytes.fromhex(VECTOR["key"])),)
    key = finish(VECTOR["code"], VECTOR["appid"], half, bytes.fromhex(VECTOR["theirs"]))
    assert exchange.shared_key == key
    assert verifier(key).hex() == VECTOR["verifier"]
    secret = phase_key(key, VECTOR["side"], "version")
    nonce = bytes.fromhex(VECTOR["nonce"])
    assert seal(secret, b'{"app_versions": {}}', nonce).hex() == VECTOR["sealed"]
    assert derive(key, "example.com/app1/thing", 16).hex() == "5c415e5909de5e99eb7d1c3b97636e0f"


@pytest.mark.parametrize("kept", [[], [Sent("pake", "7b7d")]])
def test_a_lost_half_of_our_own(kept: list[Sent]) -> None:
    """A checkpoint without what we sent is damaged, whatever the peer answers."""
    exchange = Exchange(VECTOR["appid"], VECTOR["side"])
    exchange.apply(ev.SetCode(VECTOR["code"]), seed(1))
    exchange.saying((Claim("4"),))
    exchange.apply(ev.Claimed("m"), seed(2))
    exchange.outbox.data.sent = kept
    body = json.dumps({"pake_v1": VECTOR["theirs"]}).encode()
    with pytest.raises(BadCheckpoint, match="its half of the key"):
        exchange.apply(ev.MessageArrived("f0e1d2c3b4", "pake", body), seed(3))


def test_the_same_events_and_seeds_give_the_same_bytes() -> None:
    """Two exchanges that live the same life are the same, to the last byte; other seeds differ."""
    lives = []
    for name in ("a", "a", "b"):
        exchange = Exchange(APPID, "side")
        exchange.apply(ev.SetCode("4-a"), seed(name))
        lives.append(json.dumps(exchange.serialize()))
    assert lives[0] == lives[1] != lives[2]
