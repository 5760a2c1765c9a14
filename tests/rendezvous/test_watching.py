"""A client's half of watching: against texts, against the models, and against a real server."""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from holdfast.rendezvous.watch_frames import Arrival, Offer, Wanted, offered
from holdfast.rendezvous.watching import (
    MOST_TOLD,
    Confirmed,
    HasCome,
    News,
    Refused,
    Returned,
    Watching,
)
from holdfast.rendezvous.wire import Malformed
from holdfast.testing.server import Line, MailboxServer
from tests.harness import server as real
from tests.harness.talker import Client, connected
from tests.server.in_memory import APP

NAME = "w" * 64
OFFER = Offer(1000, 2)


def begun(offer: Offer = OFFER, revision: int = 0) -> Watching:
    """One whose connection may be used."""
    new = Watching(NAME)
    assert json.loads(new.connected(offer)) == {"type": "holdfast-watcher", "watcher": NAME}
    assert heard(new, "watching", revision=revision, watches=0) == Returned(revision)
    new.noted()
    return new


def heard(watching: Watching, kind: str, **fields: Any) -> News | None:
    return watching.hear(json.dumps({"type": f"holdfast-{kind}", **fields}))


def said(watching: Watching) -> list[dict[str, Any]]:
    return [json.loads(text) for text in watching.to_say()]


@pytest.mark.parametrize(
    ("offer", "found"),
    [
        ({"version": 1, "most": 9, "batch": 500, "more": {}}, Offer(9, 500)),
        ({"version": 1, "most": 9, "batch": 10**9}, Offer(9, 10_000)),
        ({"version": 2, "most": 9, "batch": 500}, None),
        ({"version": 1, "most": 0, "batch": 500}, None),
        ({"version": 1, "most": True, "batch": 500}, None),
        ({"version": 1}, None),
        ([], None),
    ],
)
def test_what_is_offered(offer: object, found: Offer | None) -> None:
    assert offered({"holdfast-watching": offer}) == found
    assert offered({}) is None


def test_nothing_is_said_before_what_was_forgotten_is_noted() -> None:
    """And then in frames of the size that the server allows, four unanswered ones at most."""
    watching = Watching(NAME)
    watching.watch(Wanted(f"m{n}", "s", n) for n in range(11))
    assert not said(watching)
    watching.connected(OFFER)
    assert not said(watching)
    heard(watching, "watching", revision=5, watches=3)
    assert not said(watching)
    watching.noted()
    frames = said(watching)
    assert [[m for m, *_ in frame["mailboxes"]] for frame in frames] == [
        ["m0", "m1"], ["m2", "m3"], ["m4", "m5"], ["m6", "m7"],
    ]  # fmt: skip
    answer = {"request": frames[0]["request"], "revision": 6, "missing": [["m1", "s"]]}
    assert heard(watching, "watched", **answer) == Confirmed(
        6, (Wanted("m0", "s", 0),), (Wanted("m1", "s", 1),)
    )
    assert [frame["mailboxes"] for frame in said(watching)] == [[["m8", "s", 8], ["m9", "s", 9]]]


def test_what_was_not_answered_is_said_again() -> None:
    """The last word on a mailbox counts, in whatever order it was said before."""
    watching = begun(Offer(1000, 100))
    watching.watch([Wanted("m", "s", 1), Wanted("n", "s", 1)])
    [asked] = said(watching)
    watching.unwatch([("m", "s")])
    assert [frame["type"] for frame in said(watching)] == ["holdfast-unwatch"]
    watching.watch([Wanted("o", "s", 2)])
    watching.connected(OFFER)
    heard(watching, "watching", revision=0, watches=0)
    watching.noted()
    frames = {frame["type"]: frame["mailboxes"] for frame in said(watching)}
    assert frames == {
        "holdfast-unwatch": [["m", "s"]],
        "holdfast-watch": [["n", "s", 1], ["o", "s", 2]],
    }
    with pytest.raises(Malformed):
        heard(watching, "watched", request=asked["request"], revision=1, missing=[])


def test_an_acknowledgement_belongs_to_what_was_told_on_this_connection() -> None:
    """Numbers of a server that was restored may mean something else."""
    watching = begun()
    first, second = Arrival(5, "m", "s"), Arrival(6, "n", "s")
    told = [[5, "m", "s"], [6, "n", "s"]]
    assert heard(watching, "arrived", arrivals=told) == HasCome((first, second))
    watching.acknowledge([first])
    watching.acknowledge([first])
    assert said(watching) == [{"type": "holdfast-acknowledge", "arrivals": [5]}]
    watching.connected(OFFER)
    heard(watching, "watching", revision=0, watches=1)
    watching.noted()
    watching.acknowledge([second])
    assert not said(watching)
    heard(watching, "arrived", arrivals=[[6, "another", "s"]])
    watching.acknowledge([second])
    assert not said(watching)
    third = Arrival(6, "another", "s")
    watching.acknowledge([third])
    watching.connected(OFFER)
    heard(watching, "watching", revision=0, watches=1)
    watching.noted()
    assert not said(watching)


def test_a_refusal_returns_what_is_not_watched() -> None:
    """In the server's words, without what would harm a terminal; other errors are others'."""
    watching = begun()
    wanted = Wanted("m", "s", 0)
    watching.watch([wanted])
    [frame] = said(watching)
    original = {"type": "holdfast-watch", "request": frame["request"]}
    error = {"type": "error", "error": "too many\x1b", "orig": original}
    assert watching.hear(json.dumps(error)) == Refused("too many?", (wanted,))
    assert watching.idle
    error["orig"] = {"type": "claim"}
    assert watching.hear(json.dumps(error)) is None


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("watching", {"revision": 1, "watches": 1}),
        ("watched", {"request": 0, "revision": 1, "missing": [["other", "s"]]}),
        ("watched", {"request": 9, "revision": 1, "missing": []}),
        ("watched", {"request": 0, "revision": -1, "missing": []}),
        ("watched", {"request": 0, "revision": 1, "missing": {}}),
        ("unwatched", {"request": 0}),
        ("arrived", {"arrivals": [[1, "m"]]}),
        ("arrived", {"arrivals": [[True, "m", "s"]]}),
        ("arrived", {"arrivals": [[1, "", "s"]]}),
        ("arrived", {"arrivals": [[1, "m", "s" * 201]]}),
        ("arrived", {"arrivals": None}),
    ],
)
def test_a_server_that_says_what_it_must_not(kind: str, fields: dict[str, Any]) -> None:
    watching = begun()
    watching.watch([Wanted("m", "s", 0)])
    assert len(said(watching)) == 1
    with pytest.raises(Malformed) as error:
        heard(watching, kind, **fields)
    assert "other" not in str(error.value)


def test_a_server_that_does_not_wait() -> None:
    """What was told and not acknowledged is bounded."""
    watching = begun()
    half = [[[n, "m", "s"] for n in range(MOST_TOLD)][i::2] for i in range(2)]
    for some in half:
        heard(watching, "arrived", arrivals=some)
    with pytest.raises(Malformed):
        heard(watching, "arrived", arrivals=[[MOST_TOLD, "m", "s"]])


@define(eq=False)
class Worker:
    """A caller, as the engine is to be: what is in `flows` is on its disk."""

    server: MailboxServer
    flows: dict[str, int | None] = field(factory=dict)
    """Mailboxes that are waited for, with the revision of the watch (None: none confirmed)."""
    seen: dict[str, int] = field(factory=dict)
    """How many messages of the peer each has acted on."""
    watching: Watching = field(factory=lambda: Watching(NAME))
    line: Line | None = None
    texts: list[str] = field(factory=list)
    late: list[Arrival] = field(factory=list)
    """Acted upon, and not acknowledged yet."""

    def dies(self) -> None:
        self.hangs_up()
        self.late.clear()
        self.watching = Watching(NAME)

    def hangs_up(self) -> None:
        if self.line is not None:
            self.line.gone()
        self.line = None
        self.texts.clear()
        self.watching.disconnected()

    def connects(self) -> None:
        self.hangs_up()
        self.line = self.server.connect(self.texts.append, self.is_cut)
        offer = offered(json.loads(self.texts.pop())["welcome"])
        assert offer is not None
        self.line.hear(json.dumps({"type": "bind", "appid": APP, "side": "worker"}))
        self.line.hear(self.watching.connected(offer))

    def is_cut(self) -> None:
        self.line = None
        self.hangs_up()

    def works(self, steps: int) -> None:
        """Act on so much of what was heard, then say what can be said."""
        if self.line is None:
            return
        for _ in range(min(steps, len(self.texts))):
            news = self.watching.hear(self.texts.pop(0))
            if news is not None:
                self.acts(news)
        if steps:
            for text in self.watching.to_say():
                self.line.hear(text)

    def acts(self, news: News) -> None:
        match news:
            case Returned(revision):
                for name, confirmed in self.flows.items():
                    if confirmed is not None and confirmed > revision:
                        self.flows[name] = None
                self.watching.noted()
                self.watching.watch(
                    Wanted(name, name, self.seen.get(name, 0))
                    for name, confirmed in self.flows.items()
                    if confirmed is None
                )
            case Confirmed(revision, watched, missing):
                self.flows |= {one.mailbox: revision for one in watched}
                self.looks([one.mailbox for one in missing])
            case HasCome(arrivals):
                self.looks([arrival.mailbox for arrival in arrivals])
                self.late += arrivals
            case Refused():
                raise AssertionError(news)

    def acknowledges(self) -> None:
        self.watching.acknowledge(self.late)
        self.late.clear()

    def looks(self, names: list[str]) -> None:
        """Open the mailbox as the flow would, take what is there, and wait again."""
        for name in names:
            opens(self.server, name)
            self.flows[name] = None
            self.seen[name] = others(self.server, name)
            self.watching.watch([Wanted(name, name, self.seen[name])])


def opens(server: MailboxServer, mailbox: str, side: str | None = None, *texts: str) -> None:
    """A side (by default ours, which is called like the mailbox) opens a mailbox, and leaves."""
    line = server.connect(lambda _: None, lambda: None)
    line.hear(json.dumps({"type": "bind", "appid": APP, "side": side or mailbox}))
    line.hear(json.dumps({"type": "open", "mailbox": mailbox}))
    for text in texts:
        line.hear(json.dumps({"type": "add", "phase": text, "body": ""}))
    line.gone()


def others(server: MailboxServer, mailbox: str) -> int:
    return sum(m.side != mailbox for m in server.tables().messages.get(mailbox, ()))


STEPS = st.one_of(
    st.tuples(st.sampled_from(["comes", "comes", "waits"]), st.sampled_from("ab")),
    st.tuples(st.just("works"), st.integers(0, 3)),
    st.tuples(st.just("works"), st.just(3)),
    st.tuples(st.sampled_from(["connects", "acknowledges", "hangs up", "dies"]), st.just("")),
    st.tuples(st.sampled_from(["restarts", "saves", "restores", "forgets"]), st.just("")),
)


@settings(max_examples=50)
@given(st.lists(STEPS, min_size=40, max_size=40))
def test_no_arrival_is_lost(steps: list[tuple[str, Any]]) -> None:
    """Whoever dies, and whatever the server forgets: in the end each message was acted upon."""
    server = MailboxServer(lambda: 0.0, watched=10)
    worker = Worker(server)
    backup = copy.deepcopy(server.service.tables)
    for what, which in steps:
        match what:
            case "comes":
                opens(server, which, "peer", "pake")
            case "waits" if which not in worker.flows:
                worker.looks([which])
            case "works":
                worker.works(which)
            case "acknowledges":
                worker.acknowledges()
            case "connects":
                worker.connects()
            case "hangs up":
                worker.hangs_up()
            case "dies":
                worker.dies()
            case "saves":
                backup = copy.deepcopy(server.service.tables)
            case "restarts" | "restores" | "forgets":
                server.stop()
                if what == "restores":
                    server.service.tables = copy.deepcopy(backup)
                server.start(forget=what == "forgets")
    worker.connects()
    while worker.texts or not worker.watching.idle:
        worker.works(10)
    assert worker.seen.keys() == worker.flows.keys()
    for name, confirmed in worker.flows.items():
        assert confirmed is not None
        assert worker.seen[name] == others(server, name)


class Wire:
    """A connection of a Watching to a real server."""

    def __init__(self, client: Client, watching: Watching) -> None:
        self._client, self._watching = client, watching
        self.leave = client.leave

    def say(self, *first: str) -> None:
        for text in (*first, *self._watching.to_say()):
            frame = json.loads(text)
            self._client.say(frame.pop("type"), **frame)

    async def news(self, kind: str, count: int = 1) -> News | None:
        return self._watching.hear(json.dumps(await self._client.heard(f"holdfast-{kind}", count)))


def test_with_a_real_server(tmp_path: Path) -> None:
    """Over a socket; killed when the sender has heard the echo of its message: told, and again."""

    async def talk(server: real.MailboxServer) -> None:
        ours = await connected(server.url, APP, "ours")
        welcome = (await ours.heard("welcome"))["welcome"]
        offer = offered(welcome)
        assert offer is not None and offer.most == 250_000
        ours.say("open", mailbox="m")
        ours.say("ping", ping=0)
        await ours.heard("pong")
        watching = Watching(NAME)
        wire = Wire(await connected(server.url, APP, "worker"), watching)
        wire.say(watching.connected(offer))
        assert await wire.news("watching") == Returned(0)
        watching.noted()
        watching.watch([Wanted("m", "ours", 0), Wanted("none", "ours", 0)])
        wire.say()
        assert await wire.news("watched") == Confirmed(
            1, (Wanted("m", "ours", 0),), (Wanted("none", "ours", 0),)
        )
        theirs = await connected(server.url, APP, "theirs")
        theirs.say("open", mailbox="m")
        theirs.say("add", phase="pake", body="5a")
        await theirs.heard("message")
        server.restart()
        told = []
        for _ in range(2):
            wire.leave()
            wire = Wire(await connected(server.url, APP, "worker"), watching)
            wire.say(watching.connected(offer))
            assert await wire.news("watching") == Returned(1)
            watching.noted()
            told.append(await wire.news("arrived"))
        again = told[1]
        assert isinstance(again, HasCome) and again == told[0]
        assert [arrival.mailbox for arrival in again.arrivals] == ["m"]
        watching.acknowledge(again.arrivals)
        watching.unwatch([("n", "ours")])
        wire.say()
        assert await wire.news("unwatched") is None
        assert watching.idle
        for client in (ours, theirs, wire):
            client.leave()
        await asyncio.sleep(0)

    with real.MailboxServer(tmp_path, keep="1h") as server:
        asyncio.run(talk(server))


def test_the_model_keeps_what_is_watched() -> None:
    """While the watcher is there, and as long after that; then it forgets both."""
    clock = Clock()
    model = MailboxServer(clock.seconds, watched=10)
    opens(model, "m")
    worker = Worker(model, {"m": None})
    worker.connects()
    for _ in range(2):
        worker.works(9)
    assert worker.flows == {"m": 1}
    for _ in range(3):
        clock.advance(600)
        assert model.tables().mailboxes
    worker.hangs_up()
    clock.advance(600)
    assert model.tables().mailboxes
    clock.advance(600)
    tables = model.tables()
    assert not tables.mailboxes and not tables.watches.watchers
    worker.connects()
    worker.works(9)
    assert worker.flows == {"m": None}
