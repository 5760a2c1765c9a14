"""Services as an operator runs them, asked over HTTP while stock clients come and go."""

import gc
import re
import socket
import warnings
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.journals import failed, run
from tests.cli.test_run import add, code
from tests.harness.peers import StockReceivers
from tests.harness.process import BIN, Child, Holdfast
from tests.harness.waiting import DEADLINE, until

SAID = re.compile(r"^holdfast: metrics and health: (\S+)$", re.MULTILINE)


class AtSocket(HTTPConnection):
    """A connection to a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def ask(child: Child, path: str) -> tuple[int, str]:
    """Ask the service at the address that it has told."""
    told = SAID.search(until(lambda: SAID.search(child.err) and child.err, "its address"))
    assert told is not None
    where = told[1]
    connection = (
        HTTPConnection(where.removeprefix("http://"), timeout=DEADLINE)
        if where.startswith("http://")
        else AtSocket(where)
    )
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def number(child: Child, sample: str) -> float | None:
    status, text = ask(child, "/metrics")
    assert status == 200
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose name is short enough for the path of a socket."""
    yield tmp_path_factory.mktemp("s")


def test_a_worker(home: Holdfast, stock: StockReceivers) -> None:
    """It counts what stock clients do; it is ready, and nothing that it shows is secret."""
    add(home, "ann", "bob")
    with home.start("run", "--http", "0") as child:
        child.wait_for(r"default/bob waiting$")
        assert ask(child, "/livez") == (200, "ok\n")
        assert ask(child, "/readyz") == (200, "ok\n")
        ann = code(home, "ann")
        assert stock.wait(stock.receive(ann)).text == "secret of ann"
        child.wait_for(r"default/ann done$")
        assert number(child, 'holdfast_flow_changes_total{kind="provision",status="done"}') == 1
        assert number(child, "holdfast_database_usable") == 1
        assert number(child, "holdfast_flows_running") == 1
        assert number(child, f'holdfast_server_reachable{{server="{home.relay}"}}') == 1
        assert number(child, f'holdfast_connections{{server="{home.relay}"}}') == 1
        assert (number(child, "holdfast_lease_left_seconds") or 0) > 0
        assert (number(child, "holdfast_commits_total") or 0) > 4
        assert number(child, 'holdfast_flows{kind="provision",status="waiting"}') in (1, 2)
        shown = ask(child, "/metrics")[1]
        for hidden in ("ann", "bob", "secret", ann, ann.partition("-")[2]):
            assert hidden not in shown
        child.terminate()
        assert child.wait().status == 0


def test_a_mailbox_server(short: Path) -> None:
    """It counts its rows and its clients, at a socket that only this machine can reach."""
    words = ["--listen", "127.0.0.1:0", "--database", short / "m.sqlite"]
    command = [BIN / "holdfast", "mailbox", *words, "--http", f"unix:{short}/http"]
    with Child(command) as child:
        child.wait_for("^mailbox server: ")
        assert ask(child, "/livez") == (200, "ok\n")
        assert ask(child, "/readyz") == (200, "ok\n")
        assert number(child, "holdfast_mailbox_connections") == 0
        for table in ("nameplates", "watchers", "watches", "arrivals"):
            assert number(child, f'holdfast_mailbox_rows{{table="{table}"}}') == 0
        assert number(child, "holdfast_mailbox_watching") == 0
        assert number(child, "holdfast_mailbox_database_usable") == 1
        child.terminate()
        assert child.wait().status == 0
    assert not (short / "http").exists()


def refused(database: Path, address: str, *said: str) -> None:
    """It is refused in one line before anything begins: there is not even a database."""
    with warnings.catch_warnings():
        # Twisted leaves a socket that it cannot bind to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        failed(run(database, "run", "--http", address), "--http", *said)
        gc.collect()
    assert not database.exists()


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "192.0.2.1:9", "unix:/no/s"])
def test_an_address_that_cannot_be_had(tmp_path: Path, address: str) -> None:
    """The operator is told why."""
    refused(tmp_path / "holdfast.db", address, "cannot listen")


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    """So is that of a second service."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(tmp_path / "holdfast.db", str(taken.getsockname()[1]), "already in use")
