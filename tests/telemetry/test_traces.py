"""Traces: made from the journal, whole whatever died, and never with a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from holdfast.flows.shipped.provision import Provision
from holdfast.operating.refused import Refused
from holdfast.telemetry.spans import Span, spans, trace_of
from holdfast.telemetry.tracing import NotSent, Tracing
from holdfast.testing import World
from holdfast_journal import EntryRow, FlowRow, SqlJournal
from tests.cli.journals import move, start

FLOW = FlowRow(
    id=1,
    uid="c0" * 16,
    batch="march",
    name="ann",
    kind="provision",
    status="done",
    published=None,
    created_at=0.0,
    updated_at=0.0,
    finished_at=None,
    attempt=1,
    seq=1,
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


@define
class Backend:
    """A tracing system, as far as it is needed: it keeps spans by their identifiers."""

    got: dict[tuple[int, int], Span] = field(factory=dict)
    calls: int = 0
    down: bool = False

    def __call__(self, some: Sequence[Span]) -> None:
        if self.down:
            raise NotSent("connection refused")
        self.calls += 1
        for each in some:
            known = self.got.setdefault((each.trace, each.id), each)
            assert known == each, "one identifier stands for one span"

    def roots(self) -> list[Span]:
        return [each for each in self.got.values() if each.parent is None]


def collect(world: World) -> None:
    """Have a recipient come, and get the secret."""
    peer = world.peer(world.code())
    world.until(lambda: peer.messages)
    peer.send(json.dumps({"answer": {"message_ack": "ok"}}).encode())
    world.until(world.finished)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/holdfast.db"


@pytest.mark.parametrize("crash", [3, 9, 14])
def test_one_trace_survives_a_takeover(file: str, tmp_path: Path, crash: int) -> None:
    """Wherever a worker dies, and the tracing too: one trace, with all of its spans, once each."""
    backend, memory = Backend(), tmp_path / "traces.json"
    with World(file) as world, closing(SqlJournal.look(file)) as journal:
        world.serve()
        first = Tracing(journal, memory, backend)
        first.open()
        world.crash_after(crash)
        world.add(Provision(name="ann", secret="s3cr3t"), "ann")
        world.until(lambda: world.published().get("code"))
        first.look()
        collect(world)
        second = Tracing(journal, memory, backend)
        second.open()
        assert second.look() > 0
        assert second.look() == 0
        row = world.row()
        [root] = backend.roots()
        assert (world.crashes, root.trace) == (1, int(row.uid, 16))
        assert (root.name, root.ok, root.start, root.end) == (
            "flow provision",
            True,
            row.created_at,
            row.finished_at,
        )
        others = [each for each in backend.got.values() if each is not root]
        assert {each.parent for each in others} == {root.id}
        assert {each.trace for each in others} == {root.trace}
        assert [each for each in others if "goes on" in each.name]
        assert list(spans(row, world.history())) == list(backend.got.values())
        said = str(backend.got)
        assert "ann" not in said
        assert "s3cr3t" not in said


def test_the_names_of_spans(file: str) -> None:
    """They are few, and each begins where the one before has ended."""
    with World(file) as world:
        world.add(Provision(name="ann", secret="s3cr3t"), "ann")
        world.serve()
        collect(world)
        found = list(spans(world.row(), world.history()))
    *steps, root = found
    assert [each.name for each in steps] == [
        "started",
        "code made",
        "recipient came",
        "code right",
        "secret sent",
        "receipt",
        "ended",
    ]
    ends = [root.start, *(each.end for each in steps)]
    assert [each.start for each in steps] == ends[:-1]
    assert ends == sorted(ends)


def test_what_is_told_is_told_again_before_more(file: str) -> None:
    """The spans for some entries are the first of those for more entries."""
    with World(file) as world:
        world.add(Provision(name="ann", secret="s3cr3t"), "ann")
        world.serve()
        collect(world)
        row, entries = world.row(), world.history()
    whole = list(spans(row, entries))
    for count in range(len(entries)):
        before = evolve(row, status="exchanging", finished_at=None, seq=count)
        part = list(spans(before, entries[:count]))
        assert part == whole[: len(part)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqlJournal]:
    path = tmp_path / "holdfast.db"
    with closing(SqlJournal.open_inline(path, environ={})) as journal:
        yield journal


def test_a_system_that_is_down(journal: SqlJournal, tmp_path: Path) -> None:
    """What could not be sent is sent when it is there again, in this process or the next."""
    backend, memory = Backend(), tmp_path / "traces.json"
    tracing = Tracing(journal, memory, backend)
    tracing.open()
    flow = start(journal, "ann")["ann"]
    move(flow, "done", heard="server: has stored our pake", finished=True)
    backend.down = True
    with pytest.raises(NotSent):
        tracing.look()
    remembered = memory.read_bytes()
    backend.down = False
    again = Tracing(journal, memory, backend)
    again.open()
    assert memory.read_bytes() == remembered
    sent = again.look()
    assert sent == len(backend.got) > 0
    assert memory.read_bytes() != remembered
    assert tracing.look() == sent, "the other process knows nothing of this one"
    assert len(backend.got) == sent


def test_from_now_on(journal: SqlJournal, tmp_path: Path) -> None:
    """Without a memory, what has moved before is left alone."""
    flow = start(journal, "ann")["ann"]
    move(flow, "done", finished=True)
    tracing = Tracing(journal, tmp_path / "traces.json", Backend())
    tracing.open()
    assert tracing.look() == 0


def test_the_memory_of_another_database(journal: SqlJournal, tmp_path: Path) -> None:
    """It is not used; and what Holdfast did not write there is left alone, and said."""
    memory = tmp_path / "traces.json"
    tracing = Tracing(journal, memory, Backend())
    tracing.open()
    flow = start(journal, "ann")["ann"]
    move(flow, "done", finished=True)
    document = json.loads(memory.read_bytes())
    memory.write_text(json.dumps(document | {"database": "another"}))
    tracing.open()
    assert tracing.look() == 0
    for strange in ("no JSON", "[]", json.dumps(document | {"entry": "1"}), "[" * 100_000):
        memory.write_text(strange)
        with pytest.raises(Refused, match="not what Holdfast wrote"):
            Tracing(journal, memory, Backend()).open()
        assert memory.read_text() == strange


@pytest.mark.parametrize("uid", ["", "0" * 32, "x" * 32, "F" * 32, "a" * 31, "a" * 33, "²" * 32])
def test_a_uid_that_is_none(uid: str) -> None:
    """An altered database has no trace for it, and ends nothing."""
    assert trace_of(uid) is None


@given(
    times=st.lists(st.floats(), min_size=2, max_size=2),
    heard=st.sampled_from(
        ["", "peer: pake, 9 bytes", "task x: done", "server: has stored our pake"]
    ),
    kind=st.sampled_from(["message", "task", "retried", "start", "?"]),
    seq=st.integers(-(2**62), 2**62),
)
def test_what_an_altered_database_has(times: list[float], heard: str, kind: str, seq: int) -> None:
    """Whatever stands there becomes spans that the protocol can say."""
    begun, at = times
    entry = EntryRow(seq, at, seq, kind, heard, ["task y: asked for"])
    row = evolve(FLOW, created_at=begun, finished_at=at, seq=seq)
    for each in spans(row, [entry, entry]):
        assert 0 <= each.start <= 2**63 / 1e9
        assert 0 <= each.end <= 2**63 / 1e9
        assert 0 < each.id < 2**64
