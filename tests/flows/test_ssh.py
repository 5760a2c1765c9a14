"""Public SSH keys: what an inviter takes, when it answers, and that it is done once."""

import json
from itertools import count

import pytest
from attrs import define, field

from holdfast import testing
from holdfast.flows import tasks
from holdfast.flows.shipped.coding import Coding
from holdfast.flows.shipped.ssh import SshAccept, SshInvite
from holdfast.flows.tasks import Call, TaskFailed, task
from holdfast.testing import Peer
from tests.flows.world import World
from tests.transfer.keys import ED25519

OFFER = json.dumps({"offer": {"message": ED25519 + "\n"}}).encode()
ACCEPTED = {"answer": {"message_ack": "ok"}}


@define(eq=False)
class Person:
    """Whoever is at the inviter's terminal, and their file."""

    yes: bool = True
    fails: bool = False
    stumbles: bool = False
    asked: list[str] = field(factory=list)
    file: list[str] = field(factory=list)

    def ask(self, call: Call) -> bool:
        self.asked.append(call.arguments["line"])
        return self.yes

    def authorize(self, call: Call) -> dict[str, bool]:
        if self.fails:
            raise TaskFailed("/home/ann/.ssh/authorized_keys: no room")
        added = call.arguments["line"] not in self.file
        self.file += [call.arguments["line"]] * added
        if added and self.stumbles:
            raise TaskFailed("the process has ended")
        return {"added": added}


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    person = Person()
    monkeypatch.setattr(tasks, "_kinds", dict(tasks._kinds))
    task("ask-key")(person.ask)
    task("authorize-key", tries=3)(person.authorize)
    return person


def invited(world: testing.World, *messages: bytes, yes: bool = False) -> Peer:
    """Begin to invite, and let a peer say this."""
    world.start(SshInvite(yes=yes), "ann")
    peer = world.peer(world.code())
    for message in messages:
        peer.send(message)
    world.until(world.finished)
    world.until(lambda: peer.messages or world.status() == "failed")
    return peer


def heard(peer: Peer) -> list[object]:
    return [json.loads(each) for each in peer.messages]


@pytest.mark.parametrize("yes", [False, True])
def test_a_key(world: World, person: Person, yes: bool) -> None:
    """It is asked about unless that is not wanted, added, and only then accepted."""
    peer = invited(world, OFFER, OFFER, yes=yes)
    assert heard(peer) == [ACCEPTED]
    assert world.status() == "done"
    assert person.asked == ([] if yes else [ED25519])
    assert person.file == [ED25519]


def test_a_key_that_is_not_wanted(world: World, person: Person) -> None:
    """The other side is told; nothing is added."""
    person.yes = False
    peer = invited(world, OFFER)
    assert heard(peer) == [{"error": "the inviter does not want this key"}]
    assert (world.status(), person.file) == ("failed", [])


def test_a_file_that_cannot_be_written(world: World, person: Person) -> None:
    """The operator hears why; the other side no path of this machine."""
    person.fails = True
    peer = invited(world, OFFER, yes=True)
    assert heard(peer) == [{"error": "the inviter could not store the key"}]
    assert "no room" in world.published()["reason"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (json.dumps({"offer": {"message": f"no-pty {ED25519}"}}), "not a public SSH key"),
        (json.dumps({"offer": {"file": {"filename": "k", "filesize": 1}}}), "nothing else"),
        ("[]", "is no JSON object"),
        (json.dumps({"error": "changed my mind"}), "client said: changed my mind"),
    ],
)
def test_what_is_not_taken(world: World, person: Person, message: str, said: str) -> None:
    """Nothing but one key is taken, whoever is asked; both sides hear why."""
    peer = invited(world, message.encode(), yes=True)
    assert world.status() == "failed"
    assert said in world.published()["reason"]
    assert "error" in message or said in str(heard(peer))
    assert person.file == []


def test_an_inviter_who_dies(person: Person) -> None:
    """Whatever was written, and whether or not it was sent, the next process goes on."""
    for entries in count(4, 3):
        with testing.World() as world:
            person.file.clear()
            world.crash_after(entries, sent=entries % 2 == 0)
            peer = invited(world, OFFER)
            assert world.status() == "done"
            assert (heard(peer), person.file) == ([ACCEPTED], [ED25519])
            if not world.crashes:
                break  # it was over before
    assert entries > 10


def test_a_death_behind_the_writing(world: World, person: Person) -> None:
    """What was written is not written again, and is accepted once."""
    person.stumbles = True
    assert heard(invited(world, OFFER, yes=True)) == [ACCEPTED]
    assert person.file == [ED25519]


def accepted(world: World, answer: bytes) -> list[object]:
    """Let a peer invite, and answer the key that we send."""
    world.start(SshAccept(line=ED25519, coding=Coding(code="4-purple-sausages")), "ann")
    peer = world.peer("4-purple-sausages", lambda peer, message: peer.send(answer))
    world.until(world.finished)
    return heard(peer)


def test_our_key(world: World) -> None:
    """It is offered as stock does, and the flow is done when it was taken; no code is shown."""
    assert accepted(world, json.dumps(ACCEPTED).encode()) == [{"offer": {"message": ED25519}}]
    assert world.status() == "done"
    assert not any("code" in (row.published or {}) for row in world.rows())


def test_our_key_is_refused(world: World) -> None:
    """The flow says why."""
    accepted(world, b'{"error": "no"}')
    assert world.status() == "failed"
    assert "client said: no" in world.published()["reason"]
