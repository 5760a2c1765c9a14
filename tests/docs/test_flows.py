"""The examples of `docs/flows.md`."""

import hashlib
import json
import re
import sqlite3
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import wormhole as stock
from attrs import define, field
from twisted.internet import reactor as real
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from holdfast import SqlJournal, new_flow
from holdfast_journal import FlowRow
from tests.docs.conftest import EXAMPLES, Run
from tests.harness import reactor
from tests.harness.process import BIN, Child, environment
from tests.harness.server import MailboxServer, _ReservedPort
from tests.harness.waiting import until

CONTENT = Random(7).randbytes(16_000_000)


def asked(url: str, *, start: bool = False) -> list[dict[str, Any]]:
    request = urllib.request.Request(url, method="POST" if start else "GET")
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def is_up(url: str) -> bool:
    try:
        asked(url)
    except OSError:
        return False
    return True


def test_the_token_service(run: Run, server: MailboxServer, tmp_path: Path) -> None:
    """Started over the web, killed and started again, a flow issues one token, and is done."""
    port = _ReservedPort()
    url = f"http://127.0.0.1:{port.number}/ada"
    try:
        with run("token_service.py", port=port.number) as first:
            until(lambda: is_up(url), lambda: f"the service: {first.describe()}")
            assert [each["status"] for each in asked(url, start=True)] == ["new"]
            code = until(lambda: asked(url)[0].get("code"), "the code")
            first.kill9()
        second = run("token_service.py")
        until(lambda: is_up(url), lambda: f"the service: {second.describe()}")
        assert len(asked(url, start=True)) == 1, "a name is started once"
        collected = run("collect_token.py", code).wait()
        assert (collected.status, collected.err) == (0, "")
        until(lambda: asked(url)[0]["status"] == "done", "the end")
        with closing(sqlite3.connect(tmp_path / "tokens.db")) as tokens:
            [row] = tokens.execute("SELECT user, token FROM tokens").fetchall()
        assert row == ("ada", collected.out.strip())
        second.terminate()
        assert second.wait().status == 0
    finally:
        port.close()


@pytest.mark.long
def test_the_test_of_a_flow(run: Run, tmp_path: Path) -> None:
    """The test that the manual shows passes, as the manual says to run it."""
    run("quick.py").close()  # puts the examples there
    env = environment(HOME=str(tmp_path))
    # What `python -m unittest` does, in a fork; both find modules in the folder they are in.
    program = "import runpy; runpy.run_module('unittest', run_name='__main__', alter_sys=True)"
    words = [sys.executable, "-c", program, "test_issue_token"]
    with Child(words, env=env, cwd=tmp_path) as tests:
        ended = tests.wait()
    assert ended.status == 0, tests.describe()


class Fetching(Protocol):
    """What `fetch_file.py` does, in stock's hands; `watch` hears how much there is."""

    def __init__(self, watch: Callable[[int], object]) -> None:
        self.watch = watch
        self.came: list[bytes] = []
        self.size: int | None = None
        self.over: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        if self.size is None:
            self.size = json.loads(data)["size"]
            return
        self.came.append(data)
        there = sum(map(len, self.came))
        self.watch(there)
        if there == self.size:
            self.transport.write(hashlib.sha256(b"".join(self.came)).hexdigest().encode())

    def connectionLost(self, reason: Any = None) -> None:
        self.over.callback(None)


@define(eq=False)
class Shipping:
    """A database with one flow that sends a file, and the processes that serve it."""

    folder: Path
    journal: SqlJournal
    appid: str
    children: list[Child] = field(factory=list)

    def serve(self) -> None:
        words = [BIN / "holdfast", "run", "--flows", "ship_file.py", "--db", "flows.db"]
        env = environment(HOME=str(self.folder))
        self.children.append(Child(words, cwd=self.folder, env=env))

    def row(self) -> FlowRow:
        return self.journal.overview(name="file")[0]

    def code(self) -> Any:
        return (self.row().published or {}).get("code")


@pytest.fixture
def shipping(run: Run, server: MailboxServer, tmp_path: Path, ship_file: Any) -> Iterator[Shipping]:
    """A file is to be sent, and nothing serves that yet."""
    (tmp_path / "file").write_bytes(CONTENT)
    with closing(SqlJournal.open_inline(f"sqlite:///{tmp_path}/flows.db")) as journal:
        flow = ship_file.ShipFile(path=str(tmp_path / "file"))
        new = new_flow("file", flow, relay=server.url, appid=flow.appid)
        journal.start_flows("files", [new])
        made = Shipping(tmp_path, journal, flow.appid)
        yield made
        for child in made.children:
            child.close()


def test_a_file_through_kills(shipping: Shipping, server: MailboxServer, ship_file: Any) -> None:
    """Killed twice in mid-stream, `ship_file.py` sends each record to a stock peer once."""
    kills = [3_000_000, 7_000_000]

    def watch(there: int) -> None:
        if kills and there >= kills[0]:
            del kills[0]
            shipping.children[-1].kill9()
            shipping.serve()

    async def fetch() -> None:
        shipping.serve()
        code = await reactor.until(shipping.code, "the code")
        theirs = stock.create(shipping.appid, server.url, real, dilation=True)
        fetching = Fetching(watch)
        theirs.dilate().listener_for("file").listen(Factory.forProtocol(lambda: fetching))
        theirs.set_code(code)
        await fetching.over
        await theirs.close()
        await reactor.until(lambda: shipping.row().status == "done", "the end")
        assert b"".join(fetching.came) == CONTENT
        assert {len(record) for record in fetching.came[:-1]} == {ship_file.RECORD}

    reactor.run(fetch, timeout=60)
    assert (kills, len(shipping.children)) == ([], 3)


def test_the_other_end_of_it(shipping: Shipping, run: Run) -> None:
    """`fetch_file.py` fetches it with the stock library too, as its comment says."""
    text = (EXAMPLES / "fetch_file.py").read_text()
    mine, theirs = re.search(r"^(import holdfast)  # or: (import .*)$", text, re.MULTILINE).groups()
    shipping.serve()
    code = until(shipping.code, "the code")
    ended = run("fetch_file.py", code, "fetched", text=text.replace(mine, theirs)).wait()
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    until(lambda: shipping.row().status == "done", "the end")
    assert (shipping.folder / "fetched").read_bytes() == CONTENT
