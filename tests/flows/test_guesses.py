"""A code that bears several guesses: it opens again after a wrong one, until none is left."""

import json
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast.cli.commands.doctor import check
from holdfast.codes.strength import fewest_words
from holdfast.flows import Flow, flow
from holdfast.flows.shipped.coding import MOST_OPENINGS, Coded, Coding
from holdfast.flows.shipped.provision import Provision
from holdfast.flows.tasks import Call, task
from holdfast.testing import Peer
from holdfast.transfer.text import APPID
from tests.flows.world import World

ACCEPT = b'{"answer": {"message_ack": "ok"}}'


def accept(peer: Peer, message: bytes) -> None:
    peer.send(ACCEPT)
    peer.close()


def coding(guesses: int) -> Coding:
    return Coding(words=fewest_words(guesses), guesses=guesses)


def begin(world: World, guesses: int = 3, *, other: Flow | None = None, **options: Any) -> str:
    asked = Provision(name="ann", secret="s3cr3t", coding=coding(guesses))
    world.add(other or asked, **options)
    world.serve()
    return world.code()


def works(world: World) -> bool:
    return world.status() == "waiting"


def guess(world: World, code: str) -> None:
    """Somebody comes with the right number and wrong words, and is sent away."""
    world.until(lambda: works(world))
    peer = world.peer(f"{code.partition('-')[0]}-wrong-guess", on_message=accept)
    world.until(lambda: peer.result)
    assert type(peer.result).__name__ == "WrongPasswordError"
    assert not peer.messages


@define(eq=False)
class Lingerer:
    """Somebody who guesses, and then neither gives the number back nor leaves the mailbox."""

    world: World
    number: str
    line: Any = field(init=False)
    told: list[dict[str, Any]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.line = self.world.server.connect(
            lambda text: self.told.append(json.loads(text)), lambda: None
        )
        self.say("bind", appid=APPID, side="linger")
        self.say("claim", nameplate=self.number)
        [claimed] = [each for each in self.told if each["type"] == "claimed"]
        self.say("open", mailbox=claimed["mailbox"])
        self.say("add", phase="pake", body="00")

    def say(self, kind: str, **more: str) -> None:
        self.line.hear(json.dumps({"type": kind, "id": "1", **more}))


def test_two_wrong_guesses_and_a_right_one(world: World) -> None:
    """The same code, in a new mailbox each time; and what the operator sees of it."""
    code = begin(world)
    mailboxes = set(world.server.tables().mailboxes)
    for number in (1, 2):
        guess(world, code)
        world.until(lambda: works(world))
        assert world.code() == code
        assert world.published()["guesses"] == f"{number} of 3 were wrong"
        mailboxes.update(world.server.tables().mailboxes)
    assert len(mailboxes) == 3
    peer = world.peer(code, on_message=accept)
    world.until(world.finished)
    assert world.status() == "done"
    assert len(peer.messages) == 1
    heard = world.heard()
    for number in (1, 2):
        words = f"flow: wrong code, guess {number} of 3; the code will be opened again"
        assert heard.count(words) == 1
    assert heard.count("flow: a new wormhole") == 2
    assert world.server.tables().empty


def test_three_wrong_guesses_end_it(world: World) -> None:
    """Whoever then comes with the right code finds nobody; a retry makes another code."""
    code = begin(world)
    for _ in range(3):
        guess(world, code)
    world.until(world.finished)
    assert world.status() == "scared"
    assert world.published()["guesses"] == "3 of 3 were wrong"
    late = world.peer(code, on_message=accept)
    world.advance(60)
    assert not late.got
    world.journal.retry("ann", "batch")
    world.until(lambda: works(world))
    assert world.code() != code
    assert world.code().count("-") == 3
    assert "guesses" not in world.published()


def test_a_code_for_one_guess_ends_at_the_first(world: World) -> None:
    """As ever; and nothing else is shown."""
    guess(world, begin(world, guesses=1))
    world.until(world.finished)
    assert world.status() == "scared"
    assert set(world.published()) == {"code", "reason"}


@pytest.mark.parametrize("lost", [False, True], ids=["sent", "lost"])
def test_killed_around_a_wrong_guess(world: World, lost: bool) -> None:
    """Wherever the process dies, one guess is counted, and the code works again."""
    for life, dies_at in enumerate((8, 10, 11, 12, 13)):
        name = f"ann {dies_at}"
        world.server.restart(forget=True)
        world.add(Provision(name=name, secret="s3cr3t", coding=coding(2)), name)
        world.serve()
        code = world.code(name)

        def dead(name: str = name, life: int = life, dies_at: int = dies_at) -> bool:
            return world.crashes <= 2 * life and world.row(name).seq >= dies_at

        world.dies_when, world.loses_when = dead, dead if lost else lambda: False
        wrong = world.peer(f"{code.partition('-')[0]}-wrong-guess", on_message=accept)
        world.until(dead)
        world.crash()
        world.serve()
        world.until(
            lambda name=name: (
                world.published(name).get("guesses") and world.status(name) == "waiting"
            )
        )
        assert wrong.result is not None
        peer = world.peer(code, on_message=accept)
        world.until(lambda name=name: world.finished(name))
        assert world.status(name) == "done", dies_at
        assert len(peer.messages) == 1
        world.until(lambda peer=peer: peer.result)
        world.crash()


def test_who_has_the_number_meanwhile(world: World) -> None:
    """A client that was faster than we are may be a stranger's: it is left alone until it goes."""
    code = begin(world)
    wrong = world.peer(f"{code.partition('-')[0]}-wrong-guess", on_message=accept)
    world.dies_when = lambda: bool(world.published().get("guesses"))
    world.until(lambda: False)
    world.crash()
    world.dies_when = lambda: False
    world.until(lambda: wrong.result)
    early = world.peer(code, on_message=accept)
    world.advance(5)
    world.serve()
    world.advance(20)
    assert world.status() == "starting"
    assert not early.got
    early.close()
    world.until(lambda: works(world))
    peer = world.peer(code, on_message=accept)
    world.until(world.finished)
    assert world.status() == "done"
    assert len(peer.messages) == 1


def test_who_guesses_and_does_not_leave(world: World) -> None:
    """The number still leads to the old mailbox: the flow looks again until it is free."""
    code = begin(world)
    lingerer = Lingerer(world, code.partition("-")[0])
    world.advance(20)
    assert world.status() == "starting"
    assert world.published()["guesses"] == "1 of 3 were wrong"
    lingerer.say("release", nameplate=lingerer.number)
    world.until(lambda: works(world))
    peer = world.peer(code, on_message=accept)
    world.until(world.finished)
    assert world.status() == "done"
    assert len(peer.messages) == 1


def test_who_never_leaves(world: World) -> None:
    """After half an hour the flow ends, and has counted one guess."""
    code = begin(world)
    Lingerer(world, code.partition("-")[0])
    world.until(world.finished, seconds=3600, step=10.0)
    assert world.status() == "code lost"
    assert 1600 < world.now() < 1600 + MOST_OPENINGS * 10
    assert world.published()["guesses"] == "1 of 3 were wrong"


@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_ended_while_it_waits_to_be_opened_again(world: World, how: str) -> None:
    """An operator, or a deadline, ends it as at any other time."""
    code = begin(world, deadline=60 if how == "expired" else None)
    Lingerer(world, code.partition("-")[0])
    world.advance(20)
    assert world.status() == "starting"
    if how == "cancelled":
        world.journal.ask("ann", "batch", "cancel")
    world.until(world.finished)
    assert world.status() == how


CALLS: list[Deferred[str]] = []


@task("test-slow-look", tries=1)
def look(call: Call) -> Deferred[str]:
    """What takes as long as the test wants."""
    CALLS.append(Deferred())
    return CALLS[-1]


@flow("test-slow-look", appid=APPID)
class Looks(Coded):
    """A flow that looks for something while its code waits."""

    coding: Coding = field(factory=Coding)

    def started(self) -> None:
        self.open_code()
        self.perform("test-slow-look")

    def test_slow_look_done(self, seen: str) -> None:
        self.publish(seen=seen)

    def guessed_wrong(self) -> None:
        self.perform("test-slow-look")


def test_a_task_that_a_wrong_guess_interrupts(world: World) -> None:
    """It is begun again with the new wormhole, and the interrupted try does not count.

    Nor does one of a task that is asked for because of the guess.
    """
    CALLS.clear()
    code = begin(world, other=Looks(coding=coding(2)))
    world.until(lambda: CALLS)
    guess(world, code)
    world.until(lambda: works(world) and len(CALLS) == 3)
    for number, call in enumerate(CALLS[1:]):
        call.callback(f"it {number}")
    world.until(lambda: world.published().get("seen") == "it 1")
    assert works(world)


@flow("test-never-ends", appid=APPID)
class NeverEnds(Flow):
    """A flow that will not see that it is over."""

    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_closed(self, result: str | Exception) -> None:
        self.reopen("once more")


def test_a_wormhole_whose_peer_was_there_is_the_last(world: World) -> None:
    """Whatever was said under a key must not be said again under another: that is a mistake."""
    peer = world.peer(begin(world, other=NeverEnds()))
    world.until(lambda: peer.got)
    peer.close()
    world.journal.ask("ann", "batch", "cancel")
    world.until(lambda: world.row().failures)
    assert "ValueError" in str(world.row().trouble)


def test_the_doctor_understands_the_history(crashing: World) -> None:
    """It replays the entries of the present wormhole, before and after it was opened again."""
    code = begin(crashing)
    lingerer = Lingerer(crashing, code.partition("-")[0])
    crashing.advance(2)
    assert crashing.status() == "starting"
    assert not check(crashing.journal).findings
    lingerer.say("release", nameplate=lingerer.number)
    crashing.until(lambda: works(crashing))
    assert not check(crashing.journal).findings
