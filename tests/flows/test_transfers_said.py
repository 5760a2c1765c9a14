"""The flows of files, without a network: what is said when, and how else a transfer ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.flows import document
from holdfast.flows.shipped.receive import REJECTED, ReceiveHere, ReceiveToFile
from holdfast.flows.shipped.send_file import SendFile
from holdfast.flows.tasks import TaskFailed
from holdfast.testing.world import BATCH
from tests.flows.acting import Acting, Client
from tests.flows.test_transfers import ACCEPT, DATA, DIGEST, FILE, TRANSIT, Stage, stage

__all__ = ["stage"]

RESUMES = pytest.mark.parametrize("resumes", [False, True], ids=["stock", "holdfast"])
OFFERED = {"file": {"filename": "it", "filesize": len(DATA)}}
LANDED = {"path": "/x/name", "size": len(DATA), "sha256": DIGEST}


def to_file(stage: Stage, out: Path, *, resumes: bool = False, accept: bool = True) -> None:
    stage.begin_to_receive(
        lambda code: ReceiveToFile(code=code, out=str(out), accept=accept), resumes=resumes
    )


@RESUMES
def test_a_sender_says(stage: Stage, tmp_path: Path, resumes: bool) -> None:
    """Nothing before its port is durable; then where it is, then the offer.

    Only a Holdfast hears the digest, and only a Holdfast hears again where we are, if that changed.
    """
    stage.begin_to_send(tmp_path / "it", resumes=resumes)
    assert stage.client.got == [("versions", {"holdfast": {"transfer": 1}})]
    assert stage.at.stage == "reachable"
    stage.listen(5001)
    assert [*map(list, stage.client.heard)] == [["transit"], ["offer"]]
    (said,) = stage.client.heard_of("transit")
    assert [each["port"] for each in said["hints-v1"]] == [5001]
    offered = {**OFFERED["file"], "sha256": DIGEST} if resumes else OFFERED["file"]
    assert stage.client.heard_of("offer") == [{"file": offered}]
    assert stage.at.wanted[-1].reach.port == 5001
    stage.listen(5001)
    assert len(stage.client.heard) == 2
    stage.listen(5002)
    assert len(stage.client.heard_of("transit")) == 1 + resumes
    assert stage.at.wanted[-1].reach.port == (5002 if resumes else 5001)
    stage.report("listening", {"port": None, "hints": []})
    assert len(stage.client.heard_of("transit")) == 1 + 2 * resumes
    assert len(stage.client.heard_of("offer")) == 1


@RESUMES
def test_a_receiver_says(stage: Stage, tmp_path: Path, resumes: bool) -> None:
    """Where it is, and then that it wants it; to a Holdfast also that it has it."""
    to_file(stage, tmp_path / "out", resumes=resumes)
    stage.say(TRANSIT)
    assert not stage.acting, "nothing was offered"
    stage.say(FILE)
    stage.world.until(lambda: stage.acting)
    assert stage.client.heard == []
    stage.listen(5001)
    assert [*map(list, stage.client.heard)] == [["transit"], ["answer"]]
    assert stage.client.heard_of("answer") == [{"file_ack": "ok"}]
    stage.listen(5002)
    assert len(stage.client.heard_of("transit")) == 1 + resumes
    stage.report("chosen", "a route")
    stage.report("landed", LANDED)
    received = [{"received": DIGEST}] if resumes else []
    assert stage.client.heard_of("answer")[1:] == received
    stage.report("acknowledged", False)
    stage.end()
    assert stage.status() == "done"
    assert stage.world.published(stage.name).get("unconfirmed") is None or not resumes


def test_without_an_address(stage: Stage, tmp_path: Path) -> None:
    """That we are nowhere is said once, too, whatever happens to us."""
    nowhere: dict[str, Any] = {"port": None, "hints": []}
    stage.begin_to_send(tmp_path / "it")
    stage.report("listening", nowhere)
    stage.world.crash()
    stage.world.restart()
    stage.world.until(lambda: len(stage.acting) == 2)
    stage.report("listening", nowhere)
    assert [*map(list, stage.client.heard)] == [["transit"], ["offer"]]


@pytest.mark.parametrize("sends", [True, False], ids=["sender", "receiver"])
@pytest.mark.parametrize("sent", [True, False])
def test_dying_at_every_entry(stage: Stage, tmp_path: Path, sends: bool, sent: bool) -> None:
    """A stock client hears each thing once and in order, and finds us at the port that it knows."""

    def drive() -> bool:
        """What the activity and the peer would do next."""
        at = stage.at if stage.acting and stage.at.stopped is None else None
        if sends and stage.client.heard_of("offer") and not answered:
            answered.append(1)
            stage.say(ACCEPT)
        elif at is not None and at not in listening:
            listening.append(at)
            at.listens(None if at.wanted[-1].reach.port else 5000 + len(listening))
        elif at is not None and at.stage == "accepted":
            at.report("chosen", "a route")
        elif at is not None and at.stage == "going":
            at.report("acknowledged", DIGEST) if sends else at.report("landed", LANDED)
        elif at is not None and at.stage == "landed":
            at.report("acknowledged", True)
        return stage.world.finished(stage.name)

    world, deaths = stage.world, 0
    for entries in range(1, 10):
        answered: list[int] = []
        listening: list[Acting] = []
        if sends:
            stage.begin_to_send(tmp_path / f"{entries}")
        else:
            to_file(stage, tmp_path / f"{entries}")
        last = world.row(stage.name).seq + entries
        world.dies_when = lambda last=last: world.row(stage.name).seq >= last
        if not sent:
            world.loses_when = world.dies_when
        if not sends:
            stage.say(TRANSIT)
            stage.say(FILE)
        world.until(drive)
        if world.died:
            deaths += 1
            world.dies_when = world.loses_when = lambda: False
            world.crash()
            world.serve()
            world.until(drive)
        assert stage.status() == "done"
        said = [*map(list, stage.client.heard)]
        assert said == [["transit"], ["offer"] if sends else ["answer"]]
        (transit,) = stage.client.heard_of("transit")
        (known,) = {each["port"] for each in transit["hints-v1"]}
        assert {at.wanted[-1].reach.port for at in stage.acting} <= {known, 0}
        assert stage.at.wanted[-1].reach.port == known
        world.dies_when = world.loses_when = lambda: False
        world.crash()
        world.serve()
    assert deaths > 3


def test_the_person_refuses(stage: Stage, tmp_path: Path) -> None:
    """The sender hears it in the words that stock clients use, and nothing is made."""
    stage.begin_to_receive(lambda code: ReceiveHere(code=code, directory=str(tmp_path)))
    stage.say(TRANSIT)
    stage.say(FILE)
    stage.world.until(lambda: stage.acting)
    stage.listen()
    stage.world.until(lambda: stage.asked)
    stage.asked[-1].callback({"accept": False})
    stage.end()
    assert stage.client.heard_of("error") == [REJECTED]
    assert (stage.status(), stage.at.stopped) == ("failed", True)


def test_nobody_can_be_asked(stage: Stage, tmp_path: Path) -> None:
    """Who offers something hears that, too."""
    stage.begin_to_receive(lambda code: ReceiveHere(code=code, directory=str(tmp_path)))
    stage.say(FILE)
    stage.world.until(lambda: stage.acting)
    stage.listen()
    stage.world.until(lambda: stage.asked)
    while not stage.world.finished(stage.name):
        for asked in stage.asked:
            if not asked.called:
                asked.errback(TaskFailed("no terminal"))
        stage.world.advance(10)
    assert stage.client.heard_of("error") == ["nobody could be asked whether to accept it"]


@pytest.mark.parametrize(
    ("offer", "out", "words"),
    [
        ({"filename": "..", "filesize": 1}, None, "a name that no file can have"),
        ({"filename": "///", "filesize": 1}, None, "a name that no file can have"),
        ({"filename": "a", "filesize": 2**62}, None, "not enough room"),
        ({"filename": "a", "filesize": 1}, "nowhere/out", "does not exist"),
        (
            {"filename": "a", "filesize": 1},
            "/proc/self/out",
            "does not exist",
        ),  # nobody can write there
        ({"filename": "a", "filesize": 1}, "..", "no file can have that name"),
        ({"filename": "a", "filesize": 1}, "x" * 300, "the name is too long"),
    ],
)
def test_what_cannot_be_taken(
    stage: Stage, tmp_path: Path, offer: Any, out: str | None, words: str
) -> None:
    """It is found out before anything is accepted, and the sender hears it."""
    path = None if out is None else str(tmp_path / out)
    directory = str(tmp_path)
    stage.begin_to_receive(
        lambda code: ReceiveHere(code=code, directory=directory, out=path, accept=True)
    )
    stage.say({"offer": {"file": offer}})
    stage.end()
    assert (stage.status(), stage.acting) == ("failed", [])
    assert words in stage.reason
    assert stage.client.heard_of("error") == [stage.reason]
    assert not list(tmp_path.iterdir())


def test_it_cannot_be_measured(stage: Stage, tmp_path: Path) -> None:
    """The operator hears why; the peer, if it is there, hears nothing of our disk."""
    path = tmp_path / "it"
    stage.world.start(stage_send(path), "none")
    stage.world.until(lambda: stage.world.finished("none"))
    assert "it" in stage.world.published("none")["reason"]


def stage_send(path: Path) -> Any:
    return SendFile(paths=[str(path)])


@pytest.mark.parametrize("how", ["closes", "vanishes"])
def test_a_peer_that_goes(stage: Stage, tmp_path: Path, how: str) -> None:
    """Nobody notices; what still ends the transfer is its deadline."""
    stage.begin_to_send(tmp_path / "it")
    stage.listen()
    stage.client.close() if how == "closes" else stage.client.vanish()
    stage.world.advance(3600, step=600)
    assert (stage.status(), stage.at.stopped) == ("exchanging", None)


@pytest.mark.parametrize("going", [False, True])
def test_the_deadline(stage: Stage, tmp_path: Path, going: bool) -> None:
    """Whoever is there has ten more minutes; then the transfer stops for good."""
    (tmp_path / "it").write_bytes(DATA)
    stage.name = "late"
    stage.world.start(stage_send(tmp_path / "it"), "late", deadline=60)
    code = stage.world.code("late")
    stage.client = Client(stage.world.network, resumes=False)
    stage.client.enter(code)
    stage.world.until(lambda: stage.acting)
    stage.listen()
    if going:
        stage.say(ACCEPT)
        stage.report("chosen", "a route")
    stage.world.advance(500, step=50)
    assert stage.at.stopped is None
    stage.world.advance(300, step=50)
    assert (stage.status(), stage.at.stopped) == ("expired", True)


@pytest.mark.parametrize("going", [False, True])
def test_cancelled(stage: Stage, tmp_path: Path, going: bool) -> None:
    """The activity stops for good, at once, whatever it was at."""
    stage.begin_to_send(tmp_path / "it")
    stage.listen()
    if going:
        stage.say(ACCEPT)
        stage.report("chosen", "a route")
    assert stage.world.journal.ask(stage.name, BATCH, "cancel")
    stage.end()
    assert (stage.status(), stage.at.stopped) == ("cancelled", True)


def test_what_is_published(stage: Stage, tmp_path: Path) -> None:
    """What operators see of a transfer, from its beginning to its end."""
    stage.begin_to_send(tmp_path / "it", resumes=True)

    def shown() -> dict[str, Any]:
        stage.settle()
        return {**stage.world.published(stage.name), "code": None}

    known: dict[str, Any] = {"code": None, "file": "it", "size": len(DATA), "sha256": DIGEST}
    assert shown() == known
    stage.listen()
    stage.say(ACCEPT)
    known["sent"] = shown()["sent"]
    assert shown() == known
    stage.report("waiting", "the other side is away")
    known["left"] = None
    assert shown() == {**known, "waiting": "the other side is away"}
    stage.report("chosen", "->tcp:192.0.2.7:4001")
    stage.report("moved", 5)
    known["rate"] = None
    known |= {"route": "->tcp:192.0.2.7:4001", "waiting": None, "moved": 5}
    assert shown() == known
    assert stage.at.wanted[-1].moved == 5


@pytest.mark.parametrize(
    ("sha256", "status"),
    [(DIGEST, "done"), (DIGEST.upper(), "done"), ("", "failed"), ("00" * 32, "failed")],
)
def test_acknowledgements(stage: Stage, tmp_path: Path, sha256: str, status: str) -> None:
    """Only the digest of what was sent ends it well, in whatever case."""
    stage.begin_to_send(tmp_path / "it")
    stage.listen()
    stage.say(ACCEPT)
    stage.report("chosen", "a route")
    stage.report("acknowledged", sha256)
    stage.end()
    assert stage.status() == status


@pytest.mark.parametrize("said", [DIGEST, "00" * 32, None, 7])
def test_a_holdfast_says_that_it_has_it(stage: Stage, tmp_path: Path, said: Any) -> None:
    """The acknowledgement comes through the mailbox, also if the connection is gone."""
    stage.begin_to_send(tmp_path / "it", resumes=True)
    stage.listen()
    stage.say({"answer": {"received": said}})
    stage.end()
    assert stage.status() == ("done" if said == DIGEST else "failed")


def test_transit_after_the_offer(stage: Stage, tmp_path: Path) -> None:
    """An offer may come before transit, and answers twice; a stock client's hints count once."""
    to_file(stage, tmp_path / "out")
    stage.say(FILE)
    stage.world.until(lambda: stage.acting)
    stage.listen()
    assert (stage.at.stage, stage.at.wanted[-1].reach.theirs) == ("accepted", ())
    stage.say(TRANSIT)
    (hint,) = stage.at.wanted[-1].reach.theirs
    stage.say({"transit": {"hints-v1": [{**hint, "port": 9}]}})
    assert stage.at.wanted[-1].reach.theirs == (hint,)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("receive", {"code": "4-a-b", "out": "/x"}),
        ("receive-here", {"code": "4-a-b"}),
        ("receive-here", {"code": "4-a-b", "writing": True}),
    ],
)
def test_flows_of_release_0_1(kind: str, data: dict[str, Any]) -> None:
    """They were begun for texts, and go on; what is new in them is as if it had been left out."""
    flow = document.restore(kind, data)
    assert isinstance(flow, ReceiveToFile | ReceiveHere)
    assert (flow.code, flow.accept, flow.incoming) == ("4-a-b", False, None)
    assert flow.activity() is None
