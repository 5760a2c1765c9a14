"""The model of `holdfast.testing` answers those who watch as `holdfast mailbox` does.

The same steps, to both: whoever is connected hears the same from both after each of them.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import define, field
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.rendezvous.wire import ONLY
from holdfast.testing.server import Line, MailboxServer
from tests.journal.postgres import memory
from tests.server.in_memory import APP, Client, Server
from tests.server.test_watching import HOSTILE

MOST = 3
SIDES = ("ours", "theirs")
WATCHERS = {"worker": "w" * 32, "another worker": "w" * 32, "stranger": "s" * 32}

Step = tuple[str, str, dict[str, Any]]


@define(eq=False)
class Both:
    """Everybody's connections to both servers."""

    server: Server
    model: MailboxServer = field(factory=lambda: MailboxServer(lambda: 0.0, watched=MOST))
    clients: dict[str, Client] = field(factory=dict)
    lines: dict[str, Line] = field(factory=dict)
    told: dict[str, list[str]] = field(factory=dict)

    def connects(self, who: str) -> None:
        """Hang up, if there is a connection, and connect and bind anew; nothing is compared."""
        if who in self.clients:
            self.clients[who].leave()
            self.server.clients.remove(self.clients[who])
            self.lines[who].gone()
        self.clients[who] = self.server.connect(who)
        told: list[str] = []
        self.lines[who] = self.model.connect(told.append, lambda: None)
        self.lines[who].hear(json.dumps({"type": "bind", "appid": APP, "side": who}))
        told.clear()
        self.told[who] = told

    def restarts(self) -> None:
        """Both servers die. Everybody is back."""
        self.server.stop()
        self.server = Server.on(self.server.path, MOST)
        self.clients.clear()
        self.model.restart()
        for who in (*SIDES, *WATCHERS):
            self.connects(who)

    def step(self, who: str, kind: str, fields: dict[str, Any]) -> None:
        """Say this to both, and compare what everybody hears."""
        self.clients[who].say(kind, **fields)
        self.server.next_turn()
        self.lines[who].hear(json.dumps({"type": kind, **fields}))
        for each, client in self.clients.items():
            said = [_plain(json.loads(text)) for text in self.told[each] if '"ack"' not in text]
            self.told[each].clear()
            assert [_plain(frame) for frame in client.heard()] == said, (each, who, kind, fields)


def _plain(frame: dict[str, Any]) -> dict[str, Any]:
    """What matters of a frame: its times are of different clocks, and refusals of two authors."""
    if frame["type"] == "error" and "must be" in frame["error"]:
        frame["error"] = "malformed"
    return {key: frame[key] for key in frame if key not in ("server_tx", "server_rx", "id")}


@contextmanager
def both() -> Iterator[Both]:
    with TemporaryDirectory(dir=memory()) as name:
        new = Both(Server.on(Path(name) / "m.sqlite", MOST))
        for who in (*SIDES, *WATCHERS):
            new.connects(who)
        yield new
        new.server.stop()


PLACES = st.tuples(st.sampled_from("abcn"), st.sampled_from(SIDES)).map(list)
WANTED = st.tuples(st.sampled_from("abcn"), st.sampled_from(SIDES), st.integers(0, 2)).map(list)


def said(*who: str, kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.sampled_from(who), st.just(kind), st.fixed_dictionaries(fields))


STEPS: st.SearchStrategy[Step] = st.one_of(
    said(*SIDES, kind="open", mailbox=st.sampled_from("abc")),
    said(*SIDES, kind="add", phase=st.sampled_from("012"), body=st.just("")),
    said(*SIDES, kind="add", phase=st.sampled_from("012"), body=st.just("")),
    said(*SIDES, kind="close", mailbox=st.sampled_from("abc")),
    said(*SIDES, *WATCHERS, kind="connects"),
    said("server", kind="restarts"),
    st.sampled_from(sorted(WATCHERS)).map(
        lambda who: (who, "holdfast-watcher", {"watcher": WATCHERS[who]})
    ),
    said(
        *WATCHERS,
        kind="holdfast-watch",
        request=st.integers(0, 9),
        mailboxes=st.lists(WANTED, max_size=4),
    ),
    said(
        *WATCHERS,
        kind="holdfast-watch",
        request=st.integers(0, 9),
        mailboxes=st.lists(WANTED, max_size=4, unique_by=lambda one: tuple(one[:2])),
    ),
    said(
        *WATCHERS,
        kind="holdfast-unwatch",
        request=st.integers(0, 9),
        mailboxes=st.lists(PLACES, max_size=2),
    ),
    said(*WATCHERS, kind="holdfast-acknowledge", arrivals=st.lists(st.integers(1, 9), max_size=4)),
    st.sampled_from(HOSTILE).map(lambda frame: ("worker", frame["type"], frame)),
)


def test_one_nameplate_alone() -> None:
    """Whoever asks about one is not told all; what is no nameplate is as if it was not said."""
    with both() as each:
        each.step("theirs", "list", {ONLY: "4"})
        for who, name in (("ours", "4"), ("theirs", "5")):
            each.clients[who].say("claim", nameplate=name)
            each.lines[who].hear(json.dumps({"type": "claim", "nameplate": name}))
            each.connects(who)
        each.clients["worker"].say("list", **{ONLY: "4"})
        each.server.next_turn()
        assert each.clients["worker"].heard()[0]["nameplates"] == [{"id": "4"}]
        for only in ("4", "6", "", None, 4, ["4"], {}, "\ud800"):
            each.step("theirs", "list", {ONLY: only})


@pytest.mark.long
@settings(max_examples=40)
@example(
    [
        ("ours", "open", {"mailbox": "a"}),
        ("worker", "holdfast-watcher", {"watcher": "w" * 32}),
        ("stranger", "holdfast-watcher", {"watcher": "s" * 32}),
        ("worker", "holdfast-watch", {"request": 1, "mailboxes": [["a", "ours", 0]]}),
        ("theirs", "open", {"mailbox": "a"}),
        ("theirs", "add", {"phase": "pake", "body": ""}),
        ("another worker", "holdfast-watcher", {"watcher": "w" * 32}),
        ("stranger", "holdfast-acknowledge", {"arrivals": [1]}),
        ("worker", "holdfast-acknowledge", {"arrivals": [1]}),
        ("worker", "holdfast-watch", {"request": 2, "mailboxes": [["a", "ours", 0]]}),
        ("stranger", "holdfast-watch", {"request": 3, "mailboxes": [["a", "ours", 1]]}),
        ("theirs", "close", {"mailbox": "a"}),
        ("ours", "close", {"mailbox": "a"}),
    ]
)
@example(
    [
        *((side, "open", {"mailbox": "a"}) for side in SIDES),
        *((side, "connects", {}) for side in SIDES),
        *((side, "open", {"mailbox": "b"}) for side in SIDES),
        ("worker", "holdfast-watcher", {"watcher": "w" * 32}),
        *(
            ("worker", "holdfast-watch", {"request": 1, "mailboxes": [[mailbox, side, 0]]})
            for mailbox in "ab"
            for side in SIDES
        ),
        ("worker", "holdfast-watch", {"request": 2, "mailboxes": [["a", "ours", 1]]}),
    ]
)
@given(st.lists(STEPS, min_size=30, max_size=30))
def test_the_model_answers_as_the_server(steps: Sequence[Step]) -> None:
    with both() as two:
        for who, kind, fields in steps:
            if kind == "connects":
                two.connects(who)
            elif kind == "restarts":
                two.restarts()
            else:
                two.step(who, kind, fields)
