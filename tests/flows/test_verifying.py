"""`--verify`: nothing is handed over, taken or told before a person has compared the verifiers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast import testing
from holdfast.crypto import verifier
from holdfast.flows import Flow, activities, tasks
from holdfast.flows.shipped import measuring, receiving, sending  # noqa: F401 - register
from holdfast.flows.shipped.verifying import (
    DIFFER,
    MOST_UNREAD,
    ReceiveVerified,
    SendFileVerified,
    SendTextVerified,
)
from tests.flows.acting import Acting, Client
from tests.flows.test_transfers import DATA, FILE, TRANSIT
from tests.flows.world import World

TEXT = {"offer": {"message": "x"}}


@define(eq=False)
class Person:
    """Who is asked in each life of the process, and what is printed and carried."""

    asked: list[tuple[str, Deferred[bool]]] = field(factory=list)
    printed: list[str] = field(factory=list)
    acting: list[Acting] = field(factory=list)

    def answer(self, same: bool) -> None:
        self.asked[-1][1].callback(same)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    made = Person()

    def verify(call: tasks.Call) -> Deferred[bool]:
        made.asked.append((call.arguments["verifier"], Deferred()))
        return made.asked[-1][1]

    def begin(session: Any) -> Acting:
        made.acting.append(Acting(session))
        return made.acting[-1]

    def show(call: tasks.Call) -> None:
        made.printed.append(call.arguments["text"])

    for name, run in (("verify", verify), ("print", show)):
        monkeypatch.setitem(tasks._kinds, name, tasks.Kind(run, 1_000_000, 4, 600, blocks=False))
    for kind in ("sending", "receiving"):
        monkeypatch.setitem(activities._kinds, kind, begin)
    return made


def to_somebody(world: World, person: Person, flow: Flow) -> Client:
    """Start to send; return the recipient's client once the sender is asked."""
    world.start(flow, "ann")
    client = Client(world.network, resumes=True)
    client.enter(world.code())
    world.until(lambda: person.asked)
    return client


def from_somebody(world: World, person: Person, *says: object) -> Client:
    """Start to receive; return the sender's client once the recipient is asked."""
    client = Client(world.network, resumes=True)
    client.wormhole.allocate_code()
    world.deliver_all()
    world.start(ReceiveVerified(code=client.wormhole.exchange.code.data.code), "ann")
    world.until(lambda: person.asked)
    for each in says:
        client.say(each)
    world.advance(5)
    return client


def seen_by(client: Client) -> str:
    """The verifier on the other side."""
    return verifier(bytes.fromhex(client.wormhole.exchange.key.data.key)).hex()


SENDS: dict[str, Callable[[Path], Flow]] = {
    "text": lambda _: SendTextVerified(secret="s3cr3t"),
    "file": lambda path: SendFileVerified(paths=[str(path)]),
}


@pytest.mark.parametrize("what", SENDS)
@pytest.mark.parametrize("same", [True, False])
def test_a_sender(world: World, person: Person, tmp_path: Path, what: str, same: bool) -> None:
    """Before the answer the recipient hears nothing, not even addresses; also after a crash."""
    (tmp_path / "it").write_bytes(DATA)
    client = to_somebody(world, person, SENDS[what](tmp_path / "it"))
    world.advance(5)
    world.crash()
    world.restart()
    world.until(lambda: len(person.asked) == 2)
    assert {each for each, _ in person.asked} == {seen_by(client)}
    assert (client.messages, person.acting) == ([], [])
    assert world.status() == "exchanging"
    assert "sent" not in world.published()
    person.answer(same)
    world.advance(5)
    if not same:
        assert client.heard == [{"error": DIFFER}]
        assert (world.status(), world.published()["reason"]) == ("failed", DIFFER)
        assert not person.acting
    elif what == "text":
        assert client.heard == [{"offer": {"message": "s3cr3t"}}]
        client.say({"answer": {"message_ack": "ok"}})
        world.until(world.finished)
        assert world.status() == "done"
    else:
        person.acting[-1].listens()
        world.deliver_all()
        assert len(client.heard_of("offer")) == 1
    # What was answered is not asked again.
    world.restart()
    world.advance(5)
    assert len(person.asked) == 2


@pytest.mark.parametrize("same", [True, False])
def test_a_receiver(world: World, person: Person, same: bool) -> None:
    """What has come waits for the answer, through a crash, and only then is looked at."""
    client = from_somebody(world, person, TEXT)
    world.crash()
    world.restart()
    world.until(lambda: len(person.asked) == 2)
    assert (person.printed, client.messages) == ([], [])
    person.answer(same)
    world.until(world.finished)
    world.deliver_all()
    assert person.printed == ["x"] * same
    assert client.heard == [{"answer": {"message_ack": "ok"}} if same else {"error": DIFFER}]
    assert world.status() == ("done" if same else "failed")


def test_a_receiver_of_a_file(world: World, person: Person) -> None:
    """It is reachable, and says so, after the answer; the sender's addresses are kept for it."""
    client = from_somebody(world, person, TRANSIT, FILE)
    assert not person.acting
    person.answer(True)
    world.until(lambda: person.acting)
    assert client.messages == []
    assert person.acting[-1].wanted[-1].reach.theirs == tuple(TRANSIT["transit"]["hints-v1"])  # type: ignore[index]


@pytest.mark.parametrize("says", [{"error": "no"}, {**FILE, "error": "no"}])
def test_a_sender_who_gives_up(world: World, person: Person, says: object) -> None:
    """It is heard at once; an answer that comes later changes nothing."""
    from_somebody(world, person, TEXT, says)
    person.answer(True)
    world.until(world.finished)
    assert (world.status(), person.printed) == ("failed", [])
    assert world.published()["reason"] == "the sender's client said: no"


def test_a_recipient_who_gives_up(world: World, person: Person) -> None:
    """Nothing is said to have been sent."""
    client = to_somebody(world, person, SendTextVerified(secret="s3cr3t"))
    client.say({"error": "no"})
    world.deliver_all()
    person.answer(True)
    world.until(world.finished)
    assert world.status() == "failed"
    assert client.messages == []
    assert "sent" not in world.published()


def test_a_flood_is_not_kept(world: World, person: Person) -> None:
    """A sender who says more than any client does is refused."""
    client = from_somebody(world, person, *[b"nonsense"] * (MOST_UNREAD + 1))
    world.until(world.finished)
    assert world.status() == "failed"
    assert "too much was sent" in client.heard[0]["error"]


def test_killed_between_any_two_entries(person: Person) -> None:
    """The text is handed over once, and only to somebody who was compared with."""
    for dies_at in range(1, 11):
        asked = len(person.asked)
        with testing.World() as world:
            world.start(SendTextVerified(secret="s3cr3t"), "ann")
            client = Client(world.network, resumes=False)
            client.enter(world.code())
            world.crash_after(world.row().seq + dies_at)
            while not client.messages:
                if len(person.asked) > asked:
                    asked = len(person.asked)
                    person.answer(True)
                world.advance(1)
            client.say({"answer": {"message_ack": "ok"}})
            world.until(world.finished)
            assert client.heard == [{"offer": {"message": "s3cr3t"}}]
            assert (world.status(), world.crashes) == ("done", 1)
