"""The flows of files, without a network: every message in every stage, and what is said when."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast.flows import activities, tasks
from holdfast.flows.shipped import measuring, receiving, sending, writing  # noqa: F401
from holdfast.flows.shipped.receive import Receive, ReceiveHere
from holdfast.flows.shipped.send_file import SendFile
from tests.flows.acting import HINTS, Acting, Client
from tests.flows.world import World

DATA = b"what is sent"
DIGEST = hashlib.sha256(DATA).hexdigest()
TRANSIT = {"transit": {"abilities-v1": [], "hints-v1": HINTS, "more": 1}}
ACCEPT = {"answer": {"file_ack": "ok"}}
FILE = {"offer": {"file": {"filename": "name", "filesize": len(DATA)}}}
MALFORMED = {"offer": {"file": {"filename": "name", "filesize": -1}}}


@define(eq=False)
class Stage:
    """One flow, its peer, and its activity."""

    world: World
    acting: list[Acting]
    name: str = ""
    """The flow's."""
    asked: list[Deferred[Any]] = field(factory=list)
    """The person at the terminal."""
    client: Client = field(init=False)

    @property
    def at(self) -> Acting:
        """The activity that goes on."""
        return self.acting[-1]

    def settle(self) -> None:
        self.world.deliver_all()

    def report(self, what: str, value: Any) -> None:
        self.at.report(what, value)
        self.settle()

    def listen(self, port: int | None = None) -> None:
        self.at.listens(port)
        self.settle()

    def say(self, value: object) -> None:
        self.client.say(value)
        self.settle()

    @property
    def reason(self) -> str:
        """Why it failed; "" if it has not ended."""
        return (
            str(self.world.published(self.name).get("reason", ""))
            if self.world.finished(self.name)
            else ""
        )

    def end(self) -> None:
        self.world.until(lambda: self.world.finished(self.name))

    def status(self) -> str:
        return self.world.status(self.name)

    def _begin(self) -> None:
        self.acting.clear()
        self.asked.clear()
        self.name = f"{len(self.world.rows())}"

    # A sender.

    def begin_to_send(self, path: Path, *, resumes: bool = False) -> None:
        path.write_bytes(DATA)
        self._begin()
        self.world.start(SendFile(paths=[str(path)]), self.name)
        self.client = Client(self.world.network, resumes=resumes)
        self.client.enter(self.world.code(self.name))
        self.world.until(lambda: self.acting)

    # A receiver.

    def begin_to_receive(self, make: Callable[[str], Receive], *, resumes: bool = False) -> None:
        self._begin()
        self.client = Client(self.world.network, resumes=resumes)
        self.client.wormhole.allocate_code()
        self.settle()
        self.world.start(make(self.client.wormhole.exchange.code.data.code), self.name)
        self.world.until(lambda: self.client.got)
        self.settle()


@pytest.fixture
def stage(world: World, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(world, [])

    def begin(session: Any) -> Acting:
        made.acting.append(Acting(session))
        return made.acting[-1]

    def ask(_: tasks.Call) -> Deferred[Any]:
        made.asked.append(Deferred())
        return made.asked[-1]

    for kind in ("sending", "receiving"):
        monkeypatch.setitem(activities._kinds, kind, begin)
    for name, run in (("ask", ask), ("print", lambda _: None), ("show-path", lambda _: None)):
        monkeypatch.setitem(tasks._kinds, name, tasks.Kind(run, 3, 4, 600, blocks=False))
    return made


# A sender: its stages, one after the other, by what leads to the next one.

SENDER: dict[str, Callable[[Stage], None]] = {
    "reachable": lambda stage: None,
    "offered": lambda stage: stage.listen(),
    "accepted": lambda stage: stage.say(ACCEPT),
    "going": lambda stage: stage.report("chosen", "a route"),
}
STAYS, FAILS, DONE, NEXT = "stays", "fails", "done", "next"
TO_A_SENDER: list[tuple[object, dict[str, str] | str]] = [
    (TRANSIT, STAYS),
    ({"transit": None}, STAYS),
    ({"transit": {"hints-v1": [7, {}, {"type": "direct-tcp-v1", "hostname": "\n"}]}}, STAYS),
    ({"transit": {"hints-v1": HINTS * 500}}, STAYS),
    ({"unheard-of": 1}, STAYS),
    (FILE, STAYS),
    ({"offer": {"message": "x"}}, STAYS),
    ({"answer": {"later": 1}}, STAYS),
    ({"answer": {"received": DIGEST}}, STAYS),
    (ACCEPT, {"reachable": FAILS, "offered": NEXT, "accepted": STAYS, "going": STAYS}),
    ({**TRANSIT, **ACCEPT}, {"reachable": FAILS, "offered": NEXT}),
    ({"answer": {"message_ack": "ok"}}, FAILS),
    ({"answer": {"file_ack": "no"}}, FAILS),
    ({"answer": "ok"}, FAILS),
    ({"error": "\x1bno"}, "the recipient's client said:  no"),
    (MALFORMED, FAILS),
    (b"nonsense", FAILS),
    (b"\xff" * 1000, FAILS),
]


def grouped(
    table: list[tuple[object, dict[str, str] | str]], stage: str
) -> list[tuple[list[object], str]]:
    """What is to be said in one flow, and its outcome: all together that changes nothing."""
    outcomes = [
        (message, each if isinstance(each, str) else each.get(stage, STAYS))
        for message, each in table
    ]
    stays: list[object] = [message for message, outcome in outcomes if outcome == STAYS]
    others = [([message], outcome) for message, outcome in outcomes if outcome != STAYS]
    return [(stays, STAYS), *others]


@pytest.mark.parametrize("stops_at", SENDER)
def test_every_message_to_a_sender(stage: Stage, tmp_path: Path, stops_at: str) -> None:
    """Each is understood, passed over, or ends the transfer; then the recipient hears why."""
    for number, (message, outcome) in enumerate(grouped(TO_A_SENDER, stops_at)):
        stage.begin_to_send(tmp_path / str(number))
        for name, lead_on in SENDER.items():
            lead_on(stage)
            if name == stops_at:
                break
        for each in message:
            stage.say(each)
        if outcome in (STAYS, NEXT):
            assert stage.reason == "", message
            left = list(SENDER)[list(SENDER).index(stops_at) + 1 + (outcome == NEXT) :]
            for name in left:
                SENDER[name](stage)
            assert stage.at.stage == "going"
            stage.report("acknowledged", DIGEST)
            stage.end()
            assert stage.status() == "done", message
        else:
            stage.end()
            assert stage.status() == "failed", message
            assert outcome in (FAILS, stage.reason)
            stage.settle()
            said = [] if outcome != FAILS else [stage.reason]
            assert stage.client.heard_of("error") == said, message
        assert stage.at.stopped


def lead_to_the_question(stage: Stage) -> None:
    stage.say(TRANSIT)
    stage.say(FILE)
    stage.world.until(lambda: stage.acting)


def lead_to_the_person(stage: Stage) -> None:
    stage.listen()
    stage.world.until(lambda: stage.asked)


def accept(stage: Stage) -> None:
    answer = {"accept": True, "name": "name", "overwrite": False}
    stage.asked[-1].callback(answer)
    stage.settle()


RECEIVER: dict[str, Callable[[Stage], None]] = {
    "silence": lambda stage: None,
    "offered": lead_to_the_question,
    "asked": lead_to_the_person,
    "accepted": accept,
    "going": lambda stage: stage.report("chosen", "a route"),
    "landed": lambda stage: stage.report(
        "landed", {"path": "/x", "size": len(DATA), "sha256": DIGEST}
    ),
}
NOT_LANDED = {**dict.fromkeys(RECEIVER, FAILS), "landed": STAYS}
TO_A_RECEIVER: list[tuple[object, dict[str, str] | str]] = [
    (TRANSIT, STAYS),
    ({"transit": []}, STAYS),
    ({"transit": {"hints-v1": HINTS * 500}}, STAYS),
    ({"unheard-of": 1}, STAYS),
    (ACCEPT, STAYS),
    ({"answer": {"received": DIGEST}}, STAYS),
    ({"offer": {"message": "x"}}, {"silence": DONE}),
    (FILE, {"silence": NEXT}),
    ({"offer": {"file": {"filename": "../other", "filesize": 1}}}, {"silence": NEXT}),
    ({"offer": {"song": 1}}, {"silence": FAILS}),
    ({"error": "no\u202e"}, {**dict.fromkeys(RECEIVER, "said"), "landed": STAYS}),
    (MALFORMED, NOT_LANDED),
    ({"answer": None}, STAYS),
    (b"nonsense", NOT_LANDED),
]


@pytest.mark.parametrize("stops_at", RECEIVER)
def test_every_message_to_a_receiver(stage: Stage, tmp_path: Path, stops_at: str) -> None:
    """Likewise; what is said after everything has landed changes nothing of that."""
    for message, outcome in grouped(TO_A_RECEIVER, stops_at):
        stage.begin_to_receive(lambda code: ReceiveHere(code=code, directory=str(tmp_path)))
        for name, lead_on in RECEIVER.items():
            lead_on(stage)
            if name == stops_at:
                break
        for each in message:
            stage.say(each)
        if outcome in (STAYS, NEXT):
            assert stage.reason == "", message
            for name in list(RECEIVER)[list(RECEIVER).index(stops_at) + 1 :]:
                RECEIVER[name](stage)
            assert stage.at.stage == "landed"
            stage.report("acknowledged", True)
        stage.end()
        assert stage.status() == ("failed" if outcome in (FAILS, "said") else "done"), message
        if outcome == "said":
            assert stage.reason == "the sender's client said: no "
        assert stage.client.heard_of("error") == ([stage.reason] if outcome == FAILS else [])
        assert not list(tmp_path.iterdir())
