"""`holdfast mailbox`, run as an operator runs it."""

import asyncio
import contextlib
import itertools
import json
import resource
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.frames import CloseCode

from holdfast.rendezvous.wire import LARGEST_FRAME
from tests.harness import reactor
from tests.harness.peers import (
    StockReceivers,
    code_of,
    needs_william,
    shown,
    william_receive,
    wormhole_send,
)
from tests.harness.process import Holdfast
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer
from tests.harness.talker import connected
from tests.harness.waiting import DEADLINE, until

SECRET = "naïve 'secret'\nof two lines"


def test_stock_peers_meet(tmp_path: Path) -> None:
    """A stock sender and a stock receiver meet on it, and nothing stays allocated."""
    with MailboxServer(tmp_path, keep="1h") as server, StockReceivers(server.url) as receivers:
        with wormhole_send(server.url, SECRET) as sender:
            received = receivers.wait(receivers.receive(code_of(sender)))
            assert received.text == shown(SECRET)
            assert sender.wait().status == 0
        server.wait_until_empty()
        assert server.stop().status == 0


@needs_william
def test_the_go_client_receives(tmp_path: Path) -> None:
    """The Go client receives from the stock sender through it."""
    with MailboxServer(tmp_path, keep="1h") as server:
        with wormhole_send(server.url, "for Go") as sender:
            with william_receive(server.url, code_of(sender)) as receiver:
                assert receiver.wait().out == "for Go\n"


def test_the_longest_message(tmp_path: Path) -> None:
    """What is not too long is stored and passed on, however much is put around it."""

    async def exchange(url: str) -> int:
        side = "s" * 5000
        client = await connected(url, "app", side)
        client.say("open", mailbox="m")
        # With all that is around it this is all that the server takes.
        around = len(json.dumps({"type": "add", "id": "0a1b", "phase": "0", "body": ""}))
        client.say("add", phase="0", body="5" * (LARGEST_FRAME - around))
        echoed = await client.heard("message")
        client.leave()
        again = await connected(url, "app", side)
        again.say("open", mailbox="m")
        assert (await again.heard("message"))["body"] == echoed["body"]
        again.say("add", phase="1", body="5" * (LARGEST_FRAME - around + 1))
        code: int = await again.heard("goodbye")
        again.leave()
        await asyncio.sleep(0)
        return code

    with MailboxServer(tmp_path, keep="1h") as server:
        assert asyncio.run(exchange(server.url)) == CloseCode.MESSAGE_TOO_BIG


def test_a_code_outlives_its_sender_and_the_server(tmp_path: Path) -> None:
    """After kill -9 of both, the mailbox is there with the sender's message in it."""
    with MailboxServer(tmp_path, keep="1h") as server:

        async def leave_a_message() -> None:
            peer = StockPeer(server.url)
            peer.wormhole.allocate_code()
            await peer.has_sent("add", "pake")
            await reactor.until(lambda: server.tables().messages, "the message in the database")
            peer.vanish()

        reactor.run(leave_a_message)
        server.restart()
        tables = server.tables()
        assert [message["phase"] for message in tables.messages] == ["pake"]
        assert len(tables.nameplates) == len(tables.mailboxes) == 1


def test_it_forgets_what_nobody_touched_for_so_long(tmp_path: Path) -> None:
    """--keep is honoured: an abandoned mailbox goes, one with a listener stays."""
    with MailboxServer(tmp_path, keep="1s") as server:

        async def one_stays_and_one_goes() -> None:
            stays, goes = StockPeer(server.url), StockPeer(server.url)
            for peer in (stays, goes):
                peer.wormhole.allocate_code()
                await peer.has_sent("add", "pake")
            code = await stays.wormhole.get_code()
            await reactor.until(lambda: len(server.tables().messages) == 2, "two mailboxes")
            goes.vanish()
            await reactor.until(
                lambda: len(server.tables().mailboxes) == 1, "one mailbox forgotten"
            )
            [nameplate] = server.tables().nameplates
            assert nameplate["name"] == code.split("-")[0]
            with contextlib.suppress(Exception):
                await stays.close()

        reactor.run(one_stays_and_one_goes, timeout=90)


def test_it_says_nothing_of_codes(tmp_path: Path) -> None:
    """Neither a sweep nor a hostile frame puts a nameplate or mailbox in its output."""
    with MailboxServer(tmp_path, keep="1s") as server:

        async def exchange_and_misuse() -> None:
            peer = StockPeer(server.url)
            peer.wormhole.allocate_code()
            await peer.has_sent("add", "pake")
            hostile = StockPeer(server.url)
            await hostile.wormhole.get_welcome()
            connection = hostile._connector._ws
            hostile._connector._tx("claim", nameplate="7-whole-code")
            await reactor.until(lambda: hostile._connector._ws is not connection, "a cut")
            hostile.vanish()
            mailboxes = [row["id"] for row in server.tables().mailboxes]
            peer.vanish()
            await reactor.until(lambda: not server.tables().mailboxes, "the sweep")
            assert not any(mailbox in server.said for mailbox in mailboxes)
            assert "whole-code" not in server.said

        reactor.run(exchange_and_misuse, timeout=90)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--keep", "30", "give it a unit"),
        ("--listen", "nowhere", "neither host:port"),
        ("--database", "/dev/null/x", "/dev/null/x"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, option: str, value: str, says: str) -> None:
    """What cannot be used is told in one line with exit status 2."""
    done = Holdfast(tmp_path).run("mailbox", "--listen", "127.0.0.1:0", option, value)
    assert done.status == 2
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert says in done.err


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """A taken port is told in one line with exit status 2, and the server does not linger."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = Holdfast(tmp_path).run("mailbox", "--listen", where)
    assert done.status == 2
    assert done.err == f"holdfast: cannot listen on {where}: Address already in use\n"


def test_a_missing_package_is_one_line(tmp_path: Path) -> None:
    """Without the extra it says which pip command brings it."""
    hide = tmp_path / "hide"
    (hide / "wormhole_mailbox_server").mkdir(parents=True)
    (hide / "wormhole_mailbox_server" / "__init__.py").write_text(
        "raise ModuleNotFoundError(name='wormhole_mailbox_server')"
    )
    done = Holdfast(tmp_path).run("mailbox", fresh=True, PYTHONPATH=str(hide))
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "pip install 'holdfast-wormhole[mailbox]'" in done.err


def test_control_c_stops_it_cleanly(tmp_path: Path) -> None:
    """SIGINT ends it with status 0, without a traceback, its database folded into one file."""
    with Holdfast(tmp_path).start("mailbox", "--listen", "127.0.0.1:0") as server:
        server.wait_for(r"^mailbox server: ws://127\.0\.0\.1:\d+/v1$")
        server.interrupt()
        done = server.wait()
    assert (done.status, done.err) == (0, "")
    assert {file.suffix for file in (tmp_path / "state" / "holdfast").iterdir()} == {
        ".sqlite",
        ".lock",
    }


def test_a_nameplate_that_nobody_knows_of_is_freed(tmp_path: Path) -> None:
    """A mailbox that stays empty is soon forgotten whatever --keep says; a written one is not."""
    with MailboxServer(tmp_path, keep="30d") as server:

        async def leave_one_with_a_message() -> None:
            peer = StockPeer(server.url)
            peer.wormhole.allocate_code()
            await peer.has_sent("add", "pake")
            await reactor.until(lambda: server.tables().messages, "the message in the database")
            peer.vanish()

        reactor.run(leave_one_with_a_message)
        [waits] = server.tables().mailboxes
        server.stop()
        with contextlib.closing(sqlite3.connect(server.database)) as database, database:
            app = waits["app_id"]
            database.execute("INSERT INTO mailboxes VALUES (?, 'lost', 0, 1)", (app,))
            database.execute("UPDATE mailboxes SET updated = ?", (time.time() - 3600,))
            database.execute(
                "INSERT INTO nameplates (app_id, name, mailbox_id) VALUES (?, '77', 'lost')", (app,)
            )
        server.start()
        until(lambda: len(server.tables().nameplates) == 1, "the unknown nameplate to go")
        assert [mailbox["id"] for mailbox in server.tables().mailboxes] == [waits["id"]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
def test_under_load_nothing_that_was_told_is_lost(tmp_path: Path) -> None:
    """A full disk cuts off who is not served, and kill -9 everybody; what was told is stored."""
    told: set[tuple[str, str]] = set()
    given: set[str] = set()

    async def go_on(side: str, enough: int, end: Callable[[], object]) -> None:
        client = await connected(server.url, "app", side)
        client.say("allocate")
        nameplate = (await client.heard("allocated"))["nameplate"]
        given.add(nameplate)
        client.say("claim", nameplate=nameplate)
        client.say("open", mailbox=(await client.heard("claimed"))["mailbox"])
        for count in itertools.count(1):
            client.say("add", phase=f"{count}", body="5a")
            told.add((side, (await client.heard("message", count))["phase"]))
            if len(told) == enough:
                end()

    async def until_cut(who: str, enough: int, end: Callable[[], object]) -> None:
        sides = (go_on(f"{who} {n}", enough, end) for n in range(10))
        async with asyncio.timeout(DEADLINE):
            ends = await asyncio.gather(*sides, return_exceptions=True)
        assert all(isinstance(end, ConnectionError) for end in ends), ends

    with MailboxServer(tmp_path, keep="1h") as server:
        unlimited = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)

        def limit_files(to: tuple[int, int]) -> None:
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, to)

        asyncio.run(until_cut("early", 100, lambda: limit_files((1, unlimited[1]))))
        limit_files(unlimited)
        asyncio.run(until_cut("late", 200, server.kill9))
        assert "could not be written" in server.said
        server.start()
        tables = server.tables()
    assert {side.split()[0] for side, _ in told} == {"early", "late"}
    assert told <= {(row["side"], row["phase"]) for row in tables.messages}
    assert given <= {row["name"] for row in tables.nameplates}
