"""Journaled mode: nothing leaves before it is safe, whichever journal keeps it safe."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import pytest

import holdfast
from holdfast_journal import Fenced, KeyRing, NewFlow, Snapshot
from tests.api.world import CODE, Delegate, Net
from tests.harness.reactor import flush_logged_errors, start


class Store:
    """What an application keeps: the wormhole and the messages, both or neither."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.messages: list[str] = []
        self.wormhole: Any = None
        self.fails: type[Exception] | None = None

    def save(self) -> None:
        if self.fails is not None:
            raise self.fails
        document = {"wormhole": self.wormhole.serialize(), "messages": self.messages}
        self.saved.append(json.dumps(document))

    def wormhole_got_message(self, message: bytes) -> None:
        self.messages.append(message.decode())
        self.wormhole.send_message(b"thanks for " + message)

    def wormhole_closed(self, result: Any) -> None:
        self.messages.append(f"closed: {result!r}")


def journaled(net: Net) -> tuple[Store, Any]:
    store = Store()
    journal = holdfast.Journal(store.save)
    store.wormhole = net.create(delegate=store, journal=journal)
    store.wormhole.set_code(CODE)
    return store, journal


def test_every_name_of_the_journal_chapter() -> None:
    """The interface has `process` and `queue_outbound`, and three journals have it too."""
    for journal in (
        holdfast.IJournal,
        holdfast.ImmediateJournal(),
        holdfast.Journal(lambda: None),
    ):
        assert callable(journal.process)  # type: ignore[attr-defined]
        assert callable(journal.queue_outbound)  # type: ignore[attr-defined]


def test_save_checkpoint_before_anything_leaves(net: Net) -> None:
    """Whatever frame reaches the server, the checkpoint that explains it is saved already."""
    store, _ = journaled(net)
    checked: list[str] = []

    def watch(link: Any, frame: dict[str, Any]) -> None:
        if link.connector.owner.exchange is store.wormhole.exchange and frame["type"] != "bind":
            assert json.loads(store.saved[-1])["wormhole"] == store.wormhole.serialize()
            checked.append(frame["type"])

    net.network.watch = watch
    theirs = net.create()
    theirs.set_code(CODE)
    theirs.send_message(b"gift")
    assert net.result(theirs.get_message()) == b"thanks for gift"
    assert {"claim", "open", "add", "release"} <= set(checked)


def test_an_exception_in_save_checkpoint_leaves_the_journal_usable(net: Net) -> None:
    """Nothing is saved and nothing sent; the document saved before goes on with the journal."""
    start()
    store, journal = journaled(net)
    theirs = net.create()
    theirs.set_code(CODE)
    net.run()
    saved, frames = list(store.saved), len(net.network.frames)
    store.fails = OSError
    with pytest.raises(OSError):
        store.wormhole.send_message(b"lost")
    net.run()
    assert (store.saved, len(net.network.frames)) == (saved, frames)
    store.fails = None
    document = json.loads(saved[-1])
    store.wormhole = net.resume(document["wormhole"], store, journal)
    store.wormhole.send_message(b"not lost")
    assert net.result(theirs.get_message(), seconds=2) == b"not lost"


def test_an_exception_of_the_delegate_while_an_event_comes_in(net: Net) -> None:
    """Neither saved nor sent; the delegate hears of its own error, and a new life tells again."""
    start()
    store, journal = journaled(net)
    theirs = net.create()
    theirs.set_code(CODE)
    net.run()
    saved = list(store.saved)
    store.wormhole_got_message = fail  # type: ignore[method-assign,assignment]
    theirs.send_message(b"gift")
    net.run()
    assert flush_logged_errors(ArithmeticError)
    assert store.saved == saved
    assert store.messages == ["closed: ArithmeticError()"]
    del store.wormhole_got_message
    store.messages = json.loads(saved[-1])["messages"]
    store.wormhole = net.resume(json.loads(saved[-1])["wormhole"], store, journal)
    net.run(2)
    assert store.messages == ["gift"]
    assert net.result(theirs.get_message()) == b"thanks for gift"


def fail(_: object) -> None:
    raise ArithmeticError


def test_the_applications_own_changes_are_saved_with_the_event(net: Net) -> None:
    """The message is in the checkpoint that says it was delivered, and in none before it."""
    store, _ = journaled(net)
    theirs = net.create()
    theirs.set_code(CODE)
    net.run()
    before = json.loads(store.saved[-1])
    theirs.send_message(b"gift")
    net.run()
    after = json.loads(store.saved[-1])
    assert before["messages"] == []
    assert after["messages"] == ["gift"]
    assert before["wormhole"]["exchange"]["inbox"] != after["wormhole"]["exchange"]["inbox"]


def test_calls_queued_by_the_delegate_run_after_the_checkpoint(net: Net) -> None:
    """An application's own outbound calls wait as ours do, and keep their order."""
    ran: list[Any] = []
    store, journal = journaled(net)
    store.wormhole_got_message = lambda message: [  # type: ignore[method-assign,assignment]
        journal.queue_outbound(lambda each: ran.append((each, len(store.saved))), place)
        for place in (1, 2)
    ]
    theirs = net.create()
    theirs.set_code(CODE)
    net.run()
    saves = len(store.saved)
    theirs.send_message(b"x")
    net.run()
    assert ran == [(1, saves + 1), (2, saves + 1)]


class Recording:
    """Somebody else's journal, with the two methods and nothing more."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.calls: list[Any] = []
        self.depth = 0

    @contextmanager
    def process(self) -> Iterator[None]:
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
        if not self.depth:
            self.log.append("saved")
            calls, self.calls = self.calls, []
            for function, args, kwargs in calls:
                function(*args, **kwargs)

    def queue_outbound(self, fn: Any, *args: Any, **kwargs: Any) -> None:
        with self.process():
            self.calls.append((fn, args, kwargs))


def test_anything_with_the_two_methods_is_a_journal(net: Net) -> None:
    """IJournal is a protocol: an application brings its own."""
    delegate, journal = Delegate(), Recording()
    ours, theirs = net.create(delegate=delegate, journal=journal), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    ours.send_message(b"x")
    assert net.result(theirs.get_message()) == b"x"
    ours.close()
    net.run()
    assert delegate.got("closed") == "happy"
    assert journal.log


def test_immediate_journal_is_the_default_and_can_be_given(net: Net) -> None:
    """It keeps nothing and delays nothing."""
    delegate = Delegate()
    ours = net.create(delegate=delegate, journal=holdfast.ImmediateJournal())
    ours.set_code(CODE)
    assert delegate.told == [("code", CODE)]


def test_sql_journal_keeps_wormholes_of_applications(net: Net) -> None:
    """One flow's journal is given to `create`; saved in SQL, it is resumed from there."""
    database = holdfast.SqlJournal.open_inline("sqlite://", clock=net.clock.seconds)
    database.start_flows("api", [NewFlow("ada", "mine", b"parameters")])
    [flow] = database.take()
    first = Delegate()
    ours = net.create(delegate=first, journal=flow.journal)

    def attach(taken: Any, wormhole: Any) -> None:
        taken.journal.attach(
            lambda: Snapshot("waiting", json.dumps(wormhole.serialize()).encode(), {}, False, False)
        )

    attach(flow, ours)
    ours.set_code(CODE)
    net.run()
    ours.abandon()
    assert [row.kind for row in database.history(flow.id)][:2] == ["set", "welcome"]
    database.give_back()
    [again] = database.take()
    second = Delegate()
    resumed = net.resume(again.checkpoint.decode(), second, again.journal)
    attach(again, resumed)
    theirs = net.create()
    theirs.set_code(CODE)
    theirs.send_message(b"x")
    net.run(2)
    assert second.messages == [b"x"]
    resumed.close()
    net.run()
    assert second.got("closed") == "happy"
    database.close()


def test_a_wormhole_that_was_resumed_elsewhere_says_no_more(
    net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that came from one journal the first is fenced: it is told so, and sends nothing."""
    now = [0.0]
    times: dict[str, Any] = {"clock": lambda: now[0], "uptime": lambda: now[0], "lease": 30.0}
    keys = KeyRing.random()
    url = f"sqlite:///{tmp_path}/journal.db"
    paused, other = (holdfast.SqlJournal.open_inline(url, keys=keys, **times) for _ in range(2))
    paused.start_flows("api", [NewFlow("ada", "mine", b"parameters")])
    [flow] = paused.take()
    first, second = Delegate(), Delegate()
    ours = net.create(delegate=first, journal=flow.journal)

    def attach(taken: Any, wormhole: Any) -> None:
        taken.journal.attach(
            lambda: Snapshot("waiting", json.dumps(wormhole.serialize()).encode(), {}, False, False)
        )

    attach(flow, ours)
    lost: list[Exception] = []
    flow.journal.when_lost = lost.append
    ours.set_code(CODE)
    net.run()
    now[0] += 31  # paused
    [again] = other.take()
    with monkeypatch.context() as another_process:
        another_process.setattr("holdfast.shell.alive._alive", WeakValueDictionary())
        resumed = net.resume(again.checkpoint.decode(), second, again.journal)
    attach(again, resumed)
    ours.send_message(b"from the first")
    assert [type(error) for error in lost] == [Fenced]
    with pytest.raises(Fenced):
        ours.send_message(b"from the first again")
    ours.abandon()
    theirs = net.create()
    theirs.set_code(CODE)
    resumed.send_message(b"from the second")
    net.run(2)
    assert net.result(theirs.get_message()) == b"from the second"
    theirs.send_message(b"x")
    net.run(2)
    assert (first.messages, second.messages) == ([], [b"x"])
    paused.close()
    other.close()


def test_a_journal_with_deferred_mode_is_refused(net: Net) -> None:
    """Clearly, and at once."""
    with pytest.raises(holdfast.CannotSerialize, match="journal needs a delegate"):
        net.create(journal=holdfast.ImmediateJournal())


def test_a_whole_sql_journal_is_no_journal_of_one_wormhole(net: Net) -> None:
    """The error says what to pass instead."""
    database = holdfast.SqlJournal.open_inline("sqlite://", clock=net.clock.seconds)
    with pytest.raises(TypeError, match="the journal of one of them"):
        net.create(delegate=Delegate(), journal=database)
    database.close()
