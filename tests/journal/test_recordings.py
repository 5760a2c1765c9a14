"""Databases of every release: upgraded by the newest, and their flows finished by it."""

from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from twisted.internet import reactor

import holdfast
from holdfast.api import connectors
from holdfast.flows.engine.engine import Engine
from holdfast.operating.own_flows import ship
from holdfast.transfer import messages
from holdfast_journal import OlderSchema, SqlJournal
from holdfast_journal.upkeep.upkeep import Upkeep
from tests.harness.peers import StockReceivers
from tests.harness.reactor import call, run
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.journal.conftest import Journals
from tests.journal.postgres import Server
from tests.journal.recordings import ENVIRON, RECORDINGS, WANTED, Recording

UNFINISHED = {"ann", "bob", "cleo", "dora", "ida"}


@pytest.fixture(params=RECORDINGS)
def recording(request: pytest.FixtureRequest) -> Recording:
    return Recording(request.param)


def check(journal: SqlJournal) -> None:
    """Every flow is what it was, and can be opened."""
    rows = {row.name: row for row in journal.overview()}
    assert {name: row.status for name, row in rows.items()} == WANTED
    assert {name for name, row in rows.items() if row.published is None} == {"eve", "hal"}
    assert {name for name, row in rows.items() if (row.published or {}).get("code")} == {
        *("ann", "bob", "cleo", "dora", "fay", "gus")
    }
    for name in set(WANTED) - {"dora"}:
        (existing,) = journal.existing("default", [name])
        assert existing.fingerprint == journal.fingerprint("secret", f"secret of {name}")
    assert journal.history(rows["eve"].id)
    assert journal.events(rows["ann"].id)
    taken = {flow.name: flow for flow in journal.take()}
    assert set(taken) == UNFINISHED
    (task,) = taken["dora"].tasks
    assert (task.name, task.error) == ("mint", "the command's exit status was 1")
    assert taken["ida"].checkpoint is None
    assert taken["ann"].checkpoint is not None


def test_an_sqlite_file(recording: Recording, folder: Path, journals: Journals) -> None:
    """It is upgraded by opening it, after a copy, and every flow is what it was."""
    url = recording.copy(folder)
    journal = journals.open(url, keys=None)
    assert journal.kept_copy is not None
    check(journal)
    check(journals.open(f"sqlite:///{journal.kept_copy}", keys=None, environ=ENVIRON))


def test_a_postgresql_database(recording: Recording, postgres: Server, journals: Journals) -> None:
    """It is refused with the command to run, upgraded by that, and every flow is what it was."""
    url = postgres.database()
    recording.copy_rows(url)
    with pytest.raises(OlderSchema, match=r"holdfast db upgrade --db postgresql://.*\*\*\*"):
        journals.open(url, keys=None, environ=ENVIRON)
    keeper = Upkeep.open(url, environ=ENVIRON, upgrade=True)
    assert keeper.upgraded
    keeper.close()
    check(journals.open(url, keys=None, environ=ENVIRON))


@define(eq=False)
class Recipient:
    """A recorded recipient, who goes on: accepts what it is offered."""

    offered: bool
    got: list[bytes] = field(factory=list)
    wormhole: Any = None

    def begin(self, saved: dict[str, Any], url: str) -> None:
        self.wormhole = holdfast.from_serialized({**saved, "relay": url}, reactor, self)
        if self.offered:
            self.accept()

    def accept(self) -> None:
        self.wormhole.send_message(messages.accept_text())
        self.wormhole.close()

    def wormhole_got_message(self, message: bytes) -> None:
        self.got.append(message)
        self.accept()


def test_its_flows_finish(
    recording: Recording,
    folder: Path,
    journals: Journals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flows that an old release began finish under the newest: each secret arrives, once."""
    monkeypatch.setenv("RECORDED_MINT", "minted for dora")
    ship()
    url = recording.copy(folder)
    server = MailboxServer(folder)
    recording.restore_mailbox(server.database)
    with server, StockReceivers(server.url) as stock:
        connect = connectors(reactor)
        journal = journals.open(url, keys=None, reactor=reactor)
        engine = Engine(
            journal, reactor, connector=lambda _, wormhole: connect(server.url, wormhole)
        )
        call(lambda: bool(engine.start()))
        journal.retry("fay", "default")
        journal.retry("gus", "default")
        peers = {"cleo": Recipient(offered=True), "dora": Recipient(offered=False)}
        for name, peer in peers.items():
            call(peer.begin, recording.peers[name], server.url)
        names = ("ann", "bob", "fay", "gus", "ida")
        until(lambda: len(codes(journal, *names)) == len(names), "everybody's code")
        given = codes(journal, *names)
        outcomes = stock.wait_all([stock.receive(code, name) for name, code in given.items()])
        assert {name: outcomes[name].text for name in names} == {
            name: f"secret of {name}" for name in names
        }
        done = {**dict.fromkeys(WANTED, "done"), "hal": "cancelled"}
        until(lambda: statuses(journal) == done, lambda: str(statuses(journal)))
        assert b"minted for dora" in peers["dora"].got[0]
        server.wait_until_empty()
        run(engine.stop)


def statuses(journal: SqlJournal) -> dict[str, str]:
    return {row.name: row.status for row in journal.overview()}


def codes(journal: SqlJournal, *names: str) -> dict[str, str]:
    """The codes of these flows, once they can be used."""
    rows = [row for row in journal.overview() if row.name in names and row.status == "waiting"]
    return {row.name: str((row.published or {})["code"]) for row in rows}
