"""Watching, as docs/watching.md describes it, at a server without sockets."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.server.sweeping import Sweeper
from tests.server.in_memory import APP, Client, Server, connection

NAME = "a secret name of thirty-two characters"
KEEP = 3600.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server.on(tmp_path / "m.sqlite", watched=3)
    yield server
    server.stop()


def opened(server: Server, side: str, mailbox: str) -> Client:
    """A client that has a mailbox open."""
    client = server.connect(side)
    client.say("open", mailbox=mailbox)
    server.next_turn()
    client.heard()
    return client


def added(server: Server, side: str, mailbox: str) -> None:
    """Somebody leaves a message, and goes."""
    client = opened(server, side, mailbox)
    client.say("add", phase="pake", body="5a")
    server.next_turn()
    client.leave()


def watcher(server: Server, name: str = NAME) -> Client:
    """A connection that has said who watches, and heard nothing yet."""
    client = server.connect("worker")
    client.say("holdfast-watcher", watcher=name)
    server.next_turn()
    return client


def watch(server: Server, client: Client, *mailboxes: tuple[str, str, int]) -> Any:
    """What a watcher hears when it says that it watches these."""
    client.say("holdfast-watch", request=7, mailboxes=[list(each) for each in mailboxes])
    server.next_turn()
    return client.heard()


def arrivals(client: Client) -> list[list[Any]]:
    """Which arrivals it has heard of since."""
    told = [said["arrivals"] for said in client.heard() if said["type"] == "holdfast-arrived"]
    return [arrival for each in told for arrival in each]


def rows(server: Server, table: str) -> int:
    return int(
        server.database.connection.execute(f"SELECT count(*) FROM holdfast_{table}").fetchone()[0]
    )


def test_the_welcome_offers_it(tmp_path: Path) -> None:
    """Under a key of our own; with a bound of 0 it is not offered, and its frames are unknown."""
    for most, offer in ((9, {"version": 1, "most": 9, "batch": 500}), (0, None)):
        server = Server.on(tmp_path / f"{most}.sqlite", most)
        client = connection(server._site)
        [welcome] = client.heard()
        assert welcome["welcome"].get("holdfast-watching") == offer
        client.say("bind", appid=APP, side="s")
        client.say("holdfast-watcher", watcher=NAME)
        server.next_turn()
        assert client.kinds == (["error"] if offer is None else ["holdfast-watching"])
        client.leave()
        server.stop()


def test_a_watcher_hears_of_what_comes_from_others(server: Server) -> None:
    """Once, and behind the commit; of what its own side says it hears nothing."""
    ours = opened(server, "ours", "m")
    client = watcher(server)
    [began] = client.heard()
    assert (began["revision"], began["watches"]) == (0, 0)
    [answer] = watch(server, client, ("m", "ours", 0))
    assert (answer["request"], answer["revision"], answer["missing"]) == (7, 1, [])
    ours.say("add", phase="pake", body="5a")
    server.next_turn()
    assert not arrivals(client)
    theirs = opened(server, "theirs", "m")
    theirs.say("add", phase="pake", body="5a")
    assert not client.heard()
    server.next_turn()
    [[number, mailbox, side]] = arrivals(client)
    assert (mailbox, side) == ("m", "ours")
    theirs.say("add", phase="version", body="5a")
    server.next_turn()
    assert not arrivals(client)
    client.say("holdfast-acknowledge", arrivals=[number])
    theirs.say("add", phase="0", body="5a")
    server.next_turn()
    assert not arrivals(client)
    assert rows(server, "watches") == rows(server, "arrivals") == 0


@pytest.mark.parametrize(("heard", "told"), [(0, 1), (1, 0), (2, 1)])
def test_what_came_before_the_watch_is_not_lost(server: Server, heard: int, told: int) -> None:
    """Who says how much it has heard is told, behind the answer, if it is not that much."""
    opened(server, "ours", "m")
    added(server, "theirs", "m")
    answer, *more = watch(server, watcher(server), ("m", "ours", heard))[1:]
    assert answer["type"] == "holdfast-watched"
    assert [said["type"] for said in more] == ["holdfast-arrived"] * told


def test_who_may_not_open_may_not_watch(server: Server) -> None:
    """A side watches what it has opened; nobody learns whether there is anything else."""
    opened(server, "ours", "m")
    for side in ("a", "b", "c"):
        opened(server, side, "crowded")
    other = watcher(server, NAME.upper())
    wanted = (("m", "mine", 0), ("none", "ours", 0), ("crowded", "a", 0))
    [_, answer] = watch(server, other, *wanted)
    assert answer["missing"] == [[mailbox, side] for mailbox, side, _ in wanted]
    assert rows(server, "watches") == 0
    ours = watcher(server)
    watch(server, ours, ("m", "ours", 0))
    stranger = connection(server._site)
    server.clients.append(stranger)
    stranger.say("bind", appid="another", side="ours")
    stranger.say("holdfast-watcher", watcher=NAME)
    [*_, answer] = watch(server, stranger, ("m", "ours", 0))
    assert answer["missing"] == [["m", "ours"]]
    added(server, "theirs", "m")
    assert len(arrivals(ours)) == 1
    assert not arrivals(other) + arrivals(stranger)


def test_a_watcher_that_returns_hears_what_it_did_not_acknowledge(server: Server) -> None:
    """Also on another connection at the same time, and of nothing that was unwatched or closed."""
    first = watcher(server)
    clients = {name: opened(server, "ours", name) for name in ("m", "n", "o")}
    watch(server, first, *((name, "ours", 0) for name in clients))
    first.say("holdfast-unwatch", request=8, mailboxes=[["n", "ours"]])
    clients["o"].say("close", mailbox="o", mood="happy")
    server.next_turn()
    assert first.heard()[-1]["request"] == 8
    for name in clients:
        added(server, "theirs", name)
    second = watcher(server)
    began, *_ = second.heard()
    assert (began["revision"], began["watches"]) == (1, 1)
    [told] = arrivals(first)
    assert told[1:] == ["m", "ours"]
    for client in (first, second):
        client.leave()
    third = watcher(server)
    assert arrivals(third) == [told]
    third.say("holdfast-acknowledge", arrivals=[told[0]])
    server.next_turn()
    assert not arrivals(watcher(server))


def test_a_late_acknowledgement_ends_no_later_watch(server: Server) -> None:
    """A number is never used again: whoever watches anew keeps the watch."""
    client = watcher(server)
    opened(server, "ours", "m")
    watch(server, client, ("m", "ours", 0))
    added(server, "theirs", "m")
    [[old, *_]] = arrivals(client)
    watch(server, client, ("m", "ours", 1))
    client.say("holdfast-acknowledge", arrivals=[old])
    added(server, "theirs", "m")
    [[new, *_]] = arrivals(client)
    assert new > old


@pytest.mark.parametrize(("dies_at", "told"), [("before_commit", 0), ("observe", 1)])
def test_death_between_has_come_and_told(tmp_path: Path, dies_at: str, told: int) -> None:
    """What is committed is told after the restart; what is not has not happened."""
    server = Server.on(tmp_path / "m.sqlite")
    client = watcher(server)
    opened(server, "ours", "m")
    watch(server, client, ("m", "ours", 0))
    theirs = opened(server, "theirs", "m")
    theirs.say("add", phase="pake", body="5a")

    def die(*_: object) -> None:
        raise SystemExit

    setattr(server.turn, dies_at, die)
    with pytest.raises(SystemExit):
        server.next_turn()
    assert not client.heard() + theirs.heard()
    server.database.close()
    again = Server.on(server.path)
    for _ in range(2):
        assert len(arrivals(watcher(again))) == told
    again.stop()


def test_a_write_that_fails_is_not_told(server: Server) -> None:
    """The watcher is cut like everybody who waited; the number that it would have had is told."""
    client = watcher(server)
    opened(server, "ours", "m")
    watch(server, client, ("m", "ours", 0))
    theirs = opened(server, "theirs", "m")
    server.database.connection.execute("PRAGMA foreign_keys=ON")
    theirs.say("add", phase="pake", body="5a")
    server.database.connection.execute("PRAGMA defer_foreign_keys=ON")
    server.database.connection.execute("INSERT INTO mailbox_sides VALUES ('none', 1, 's', 0, '')")
    server.next_turn()
    assert client.is_cut and not client.heard()
    client.leave()
    client = watcher(server)
    assert not arrivals(client)
    added(server, "theirs", "m")
    assert len(arrivals(client)) == 1


def swept(server: Server, **ages: float) -> None:
    """Sweep when the mailboxes, or the watchers, are so old."""
    execute = server.database.connection.execute
    for table, column in (("mailboxes", "updated"), ("holdfast_watchers", "seen")):
        if table in ages:
            execute(f"UPDATE {table} SET {column} = ?", (time.time() - ages[table],))
    soon = server._later.append
    Sweeper(server.rendezvous, server.turn, KEEP, server.watches, soon)()
    server.next_turn()


def test_what_is_watched_is_kept(server: Server) -> None:
    """As long as its watcher is here, and then for as long as the operator wants."""
    client = watcher(server)
    opened(server, "ours", "m").leave()
    watch(server, client, ("m", "ours", 0))
    swept(server, mailboxes=2 * KEEP)
    client.leave()
    swept(server, mailboxes=2 * KEEP, holdfast_watchers=KEEP - 60)
    assert rows(server, "watches") == 1
    assert not arrivals(watcher(server))


def test_what_is_forgotten_is_told(server: Server) -> None:
    """A watched mailbox that is swept is told; a watcher that never comes back is forgotten."""
    client = watcher(server)
    opened(server, "ours", "m").leave()
    watch(server, client, ("m", "ours", 0))
    client.leave()
    server.turn.execute("DELETE FROM mailbox_sides")
    server.turn.execute("DELETE FROM mailboxes")
    server.next_turn()
    back = watcher(server)
    [[_, mailbox, side]] = arrivals(back)
    assert (mailbox, side) == ("m", "ours")
    back.leave()
    swept(server, holdfast_watchers=2 * KEEP)
    assert [rows(server, table) for table in ("watchers", "watches", "arrivals")] == [0, 0, 0]
    [began] = watcher(server).heard()
    assert (began["revision"], began["watches"]) == (0, 0)


def test_a_watcher_may_watch_so_many(server: Server) -> None:
    """Of a frame with which it would be more, nothing is done; to watch again is not more."""
    client = watcher(server)
    for name in "mnop":
        opened(server, "ours", name)
    watch(server, client, *((name, "ours", 0) for name in "mno"))
    [error] = watch(server, client, ("m", "ours", 1), ("p", "ours", 0))
    assert error["error"] == "a watcher may watch at most 3 mailboxes here"
    assert error["orig"] == {"type": "holdfast-watch", "request": 7}
    assert not arrivals(client)
    [answer] = watch(server, client, *((name, "ours", 0) for name in "mno"))
    assert answer["revision"] == 2
    assert rows(server, "watches") == 3


def test_many_arrivals_come_in_bounded_frames(tmp_path: Path) -> None:
    """At most 5,000 before the first acknowledgement, 500 in each frame; then the rest."""
    server = Server.on(tmp_path / "m.sqlite", watched=10_000)
    client = watcher(server)
    execute = server.turn.execute
    [row] = execute("SELECT id FROM holdfast_watchers").fetchall()
    execute(
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 5100)"
        " INSERT INTO holdfast_watches SELECT 'm' || i, 'ours', ? FROM n",
        (row["id"],),
    )
    execute(
        "INSERT INTO holdfast_arrivals SELECT NULL, watcher, mailbox_id, side FROM holdfast_watches"
    )
    server.next_turn()
    told = [said["arrivals"] for said in client.heard() if "arrivals" in said]
    assert [len(each) for each in told] == [500] * 10
    client.say("holdfast-acknowledge", arrivals=[number for number, *_ in told[3]])
    server.next_turn()
    assert len(arrivals(client)) == 100
    server.stop()


HOSTILE: list[dict[str, Any]] = [
    {"type": "holdfast-watcher"},
    {"type": "holdfast-watcher", "watcher": "short"},
    {"type": "holdfast-watcher", "watcher": NAME},
    {"type": "holdfast-watch", "mailboxes": []},
    {"type": "holdfast-watch", "request": True, "mailboxes": []},
    {"type": "holdfast-watch", "request": 1, "mailboxes": {"m": 1}},
    {"type": "holdfast-watch", "request": 1, "mailboxes": [["m", "s", -1]]},
    {"type": "holdfast-watch", "request": 1, "mailboxes": [["m", "s", 0]] * 2},
    {"type": "holdfast-watch", "request": 1, "mailboxes": [["m", "\ud800", 0]]},
    {"type": "holdfast-watch", "request": 1, "mailboxes": [["m", {}, 0]]},
    {
        "type": "holdfast-watch",
        "request": 1,
        "mailboxes": [[f"{n}", "s", 0] for n in range(501)],
    },
    {"type": "holdfast-unwatch", "request": 2**53, "mailboxes": []},
    {"type": "holdfast-unwatch", "request": 1, "mailboxes": [["m"]]},
    {"type": "holdfast-acknowledge", "arrivals": [1.5]},
    {"type": "holdfast-acknowledge", "arrivals": 1},
    {"type": "holdfast-unheard-of"},
]


def test_hostile_frames_are_refused_in_words(server: Server) -> None:
    """And nothing of them is repeated; the connection goes on."""
    client = watcher(server)
    client.heard()
    for frame in HOSTILE:
        client.say(frame["type"], **{key: frame[key] for key in frame if key != "type"})
    client.say("ping", ping=1)
    server.next_turn()
    *errors, pong = client.heard()
    assert pong["type"] == "pong"
    assert [error["orig"]["type"] for error in errors] == [frame["type"] for frame in HOSTILE]
    assert all(error["error"] for error in errors)
    assert not any({"mailboxes", "watcher"} & error["orig"].keys() for error in errors)


@pytest.mark.parametrize("kind", ["holdfast-watch", "holdfast-unwatch", "holdfast-acknowledge"])
def test_who_watches_comes_first(server: Server, kind: str) -> None:
    """Behind `bind`, which itself comes first of all."""
    client = server.connect("ours")
    client.say(kind, request=1)
    unbound = connection(server._site)
    server.clients.append(unbound)
    unbound.say("holdfast-watcher", watcher=NAME)
    server.next_turn()
    assert client.heard()[0]["error"] == "must say who watches first"
    assert unbound.heard()[1]["error"] == "must bind first"
