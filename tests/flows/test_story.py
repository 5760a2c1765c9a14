"""What an operator is told of flows that really ran, in the words of the job."""

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve, field
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.flows import Call, Flow, TaskFailed, flow, task
from holdfast.flows.shipped.coding import Coding
from holdfast.flows.shipped.provision import Provision
from holdfast.operating.story import Mood, Step, Story
from holdfast.operating.storyteller import Storyteller
from holdfast.testing import Peer
from holdfast.transfer.text import APPID
from holdfast_journal import EntryRow, FlowRow
from tests.flows.world import BATCH, World

ACCEPT = b'{"answer": {"message_ack": "ok"}}'
REFUSE = b'{"error": "no room"}'


def accept(peer: Peer, message: bytes) -> None:
    peer.send(ACCEPT)
    peer.close()


def refuse(peer: Peer, message: bytes) -> None:
    peer.send(REFUSE)


def told(world: World, name: str = "ann") -> list[str]:
    return [step.what for step in Story(world.journal, world.row(name)).steps()]


def provision(world: World, **options: Any) -> str:
    world.add(Provision(name="ann", secret="s3cr3t", **options))
    world.serve()
    return world.code()


def test_a_wrong_guess_and_a_right_one(world: World) -> None:
    """Each step once, with the time between them; the code of neither guess is told."""
    code = provision(world, coding=Coding(words=3, guesses=2))
    world.advance(60)
    wrong = world.peer(f"{code.partition('-')[0]}-wrong-guess", on_message=accept)
    world.until(lambda: wrong.result)
    world.until(lambda: world.status() == "waiting")
    world.peer(code, on_message=accept)
    world.until(world.finished)
    steps = list(Story(world.journal, world.row()).steps())
    assert [step.what for step in steps] == [
        "started",
        "code made",
        "recipient came",
        "code wrong",
        "that was guess 1 of 2; the same code will open again",
        "the same code works again",
        "recipient came",
        "code right",
        "secret sent",
        "receipt: the recipient has it",
        "ended: done",
    ]
    assert [step.mood for step in steps[3:5]] == [Mood.BAD, Mood.BAD]
    assert steps[0].after is None
    assert steps[2].after is not None and 59 < steps[2].after < 62
    assert [step.at for step in steps] == sorted(step.at for step in steps)


def test_each_step_is_told_once(world: World) -> None:
    """A story goes on where it was, through the end of its process, and through a retry."""
    code = provision(world)
    story = Story(world.journal, world.row())
    assert [step.what for step in story.steps()] == ["started", "code made"]
    assert not story.is_over
    world.peer(code, on_message=refuse)
    world.until(world.finished)
    assert [step.what for step in story.steps()] == [
        "recipient came",
        "code right",
        "secret sent",
        "the recipient's client refused",
        "ended: failed: the recipient's client said: no room",
    ]
    assert story.is_over
    assert not list(story.steps())
    world.journal.retry("ann", BATCH)
    world.until(lambda: world.status() == "waiting")
    world.restart()
    again = Story(world.journal, world.row())
    assert [step.what for step in again.steps()][6:] == [
        "retried: attempt 2, after it had ended: failed",
        "started",
        "code made",
    ]
    assert not again.is_over


def test_an_end_that_the_operator_wants(world: World) -> None:
    """It is told who wanted it."""
    provision(world)
    world.journal.ask("ann", BATCH, "cancel")
    world.until(world.finished)
    assert told(world) == ["started", "code made", "cancelled by the operator", "ended: cancelled"]


def test_a_deadline_and_another_worker(crashing: World) -> None:
    """Whoever goes on with the flow, and what ends it."""
    world = crashing
    world.add(Provision(name="ann", secret="s3cr3t"), deadline=world.now() + 60)
    world.serve()
    world.code()
    world.restart()
    world.advance(100)
    assert told(world) == [
        "started",
        "code made",
        "worker 2 goes on with it",
        "the deadline has passed",
        "ended: expired",
    ]


@flow("story-token", appid=APPID)
class Token(Flow):
    """A flow of somebody else's."""

    thanks: int = field(default=0, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_got_versions(self, versions: dict[str, Any]) -> None:
        self.perform("story-mint")

    def story_mint_done(self, token: str) -> None:
        self.wormhole.send_message(token.encode())

    def wormhole_got_message(self, message: bytes) -> None:
        self.finish()


OUTCOMES: list[Exception] = []


@task("story-mint")
def mint(call: Call) -> str:
    if OUTCOMES:
        raise OUTCOMES.pop()
    return "token"


def test_a_flow_of_ones_own(world: World) -> None:
    """Its peer is a peer, its messages have numbers, and each try of its task is told."""
    OUTCOMES.append(TaskFailed("no: route; given up"))
    world.add(Token())
    world.serve()
    peer = world.peer(world.code(), on_message=lambda peer, _: peer.send(b"thanks"))
    world.until(world.finished)
    assert len(peer.messages) == 1
    assert told(world) == [
        "started",
        "code made",
        "peer came",
        "code right",
        "task story-mint asked for",
        "task story-mint failed: no: route; given up",
        "task story-mint, try 2 done",
        "message 0 sent, 45 bytes",
        "message 0 came, 46 bytes",
        "ended: done",
    ]


def entry(seq: int, kind: str, heard: str, *said: str, worker: int | None = 1) -> EntryRow:
    return EntryRow(seq, float(seq), worker, kind, heard, said)


def tell(kind: str, entries: Sequence[EntryRow]) -> list[str]:
    teller = Storyteller(kind)
    return [step.what for each in entries for step in teller.hear(each)]


def test_a_file() -> None:
    """Its activity tells more than its messages do; each offer is told once."""
    reports = ["listening", "listening", "chosen", "moved", "waiting", "chosen", "acknowledged"]
    entries = [entry(1, "message", "peer: version, 60 bytes", "message 0, 99 bytes")]
    entries += [entry(n, "activity", f"sending: {what}") for n, what in enumerate(reports, 2)]
    assert tell("send-file", entries) == [
        "code right",
        "offered to the recipient",
        "connected to the recipient",
        "connection lost; it will be tried again",
        "connected to the recipient",
        "receipt: the recipient has confirmed",
    ]


def test_whoever_receives() -> None:
    """Uses the code, and then meets the sender; what it sends and gets is told by its tasks."""
    assert tell(
        "receive-here",
        [
            entry(1, "start", "flow: started"),
            entry(2, "set", "application: the code"),
            entry(3, "claimed", "server: nameplate claimed", "pake, 81 bytes"),
            entry(4, "message", "peer: pake, 81 bytes"),
            entry(5, "message", "server: has stored our pake", "version, 87 bytes"),
            entry(6, "message", "peer: version, 87 bytes"),
            entry(7, "message", "peer: message 0, 40 bytes", "task print: asked for"),
            entry(8, "task", "task print: done"),
            entry(9, "send", "application: send 30 bytes", "message 0, 70 bytes"),
        ],
    ) == [
        "started",
        "code used",
        "sender came",
        "code right",
        "task print asked for",
        "task print done",
    ]


def test_what_a_server_did() -> None:
    """It cannot be reached, is there again, has forgotten the mailbox, and says no."""
    assert tell(
        "provision",
        [
            entry(1, "no-server", "no server: connection refused"),
            entry(2, "no-server", "no server: connection refused"),
            entry(3, "welcome", "server: welcome"),
            entry(4, "missing", "server: has nothing in our mailbox"),
            entry(5, "message", "server: has stored our pake"),
            entry(6, "refused", "server: error about claim: crowded"),
        ],
    ) == [
        "the mailbox server cannot be reached: connection refused",
        "the mailbox server is there again",
        "the mailbox server had forgotten the mailbox",
        "the code works again",
        "error about claim: crowded",
    ]


def test_a_dilated_wormhole() -> None:
    """Its direct connection, and not each record."""
    assert tell(
        "own",
        [
            entry(1, "dilate", "application: dilate"),
            entry(2, "dilation", "subchannels: connected, 2 records to send"),
            entry(3, "dilation", "subchannels: 5 records came"),
            entry(4, "dilation", "subchannels: not connected"),
        ],
    ) == [
        "a direct connection to the peer is wanted",
        "connected directly to the peer",
        "direct connection lost",
    ]


KINDS = ["message", "task", "activity", "dilation", "reopening", "reopened", "retried", "timer", ""]
WORDS = st.sampled_from(
    [
        *("peer: version, 60 bytes", "peer: pake, 81 bytes", "peer: message 7, 1 bytes"),
        *("close the mailbox, scary", "close the mailbox, happy", "message 0, 9 bytes"),
        *("task mint: done", "task mint: asked for", "task : ", "server: has stored our pake"),
        *("flow: wrong code, guess 1 of 2; the code will be opened again", "sending: chosen"),
    ]
) | st.text(max_size=40)
ENTRIES = st.lists(
    st.tuples(st.sampled_from(KINDS) | st.text(max_size=9), WORDS, st.lists(WORDS, max_size=2))
)


@given(ENTRIES, st.sampled_from(["provision", "send-file", "own"]), st.text(max_size=9))
@example([("message", "peer: version, 60 bytes", [])], "provision", "scared")
def test_whatever_a_journal_holds(
    entries: list[tuple[str, str, list[str]]], kind: str, status: str
) -> None:
    """Steps come in the order of the entries, once, and none is kept back when the flow is over."""
    teller = Storyteller(kind)
    steps: list[Step] = []
    for seq, (what, heard, said) in enumerate(entries, 1):
        steps += teller.hear(entry(seq, what, heard, *said))
    steps += teller.settle(over(kind, status, len(entries)))
    assert [step.seq for step in steps] == sorted(step.seq for step in steps)
    assert steps[-1].what.startswith("ended: ")
    assert teller.is_over
    assert not teller.settle(over(kind, status, len(entries)))


def over(kind: str, status: str, seq: int) -> FlowRow:
    return FlowRow(
        id=1,
        uid="",
        batch="",
        name="",
        kind=kind,
        status=status,
        published=None,
        created_at=0.0,
        updated_at=0.0,
        finished_at=seq + 1.0,
        attempt=1,
        seq=seq,
        request=None,
        owner=None,
        owner_host=None,
        owner_pid=None,
        owner_alive=None,
        wake_at=None,
        failures=0,
        trouble=None,
        deaths=0,
    )


@pytest.mark.parametrize(
    ("published", "told"),
    [
        ({"sent": 1.0, "collected": 2.0}, ["receipt: the recipient has it"]),
        ({"sent": 1.0, "reason": "no room"}, ["the recipient's client refused"]),
        ({"sent": 1.0}, []),
    ],
)
def test_an_answer_is_told_before_the_server_was(
    published: dict[str, float | str], told: list[str]
) -> None:
    """The server may be away for hours, and the operator waits for this line."""
    teller = Storyteller("provision")
    teller.hear(entry(1, "message", "peer: message 0, 60 bytes"))
    row = evolve(over("provision", "closing", 1), finished_at=None, published=published)
    assert [step.what for step in teller.settle(row)] == told
    assert not teller.is_over
