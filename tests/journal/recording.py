"""Record a database of the release that is installed: `python tests/journal/recording.py`.

Writes what that release leaves behind when it is killed, with flows in every kind of state, into
`recorded/REVISION`, unless that is there: nothing that was recorded is ever written again. A
release of the past records itself with PYTHONPATH set to a checkout of it.

The flows are run by that release's own commands, with a real mailbox server, whose database is
recorded too. The recipients of `exchanging` are wormholes of the library, saved in peers.json.
"""

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet import reactor

import holdfast
from holdfast.flows.document import new_flow
from holdfast.flows.shipped.provision import Provision
from holdfast.transfer import messages, text
from holdfast_journal import Journal, SqlJournal
from holdfast_journal.store import schema
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.reactor import call, stop
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

RECORDED = Path(__file__).with_name("recorded")
KEY = "7e57" * 16
"""The master key of every recording. It guards nothing."""
MINT = "/bin/sh -c 'printenv RECORDED_MINT'"
"""Fails as long as nobody says what to mint."""
MINTED = ("dora",)
WANTED = {
    "ann": "waiting",
    "bob": "waiting",
    "cleo": "exchanging",
    "dora": "exchanging",
    "eve": "done",
    "fay": "scared",
    "gus": "failed",
    "hal": "cancelled",
    "ida": "new",
}


@define(eq=False)
class Recipient:
    """A wormhole of the library that says one thing, or nothing, to what it is offered."""

    answer: bytes | None
    got: list[str] = field(factory=list)
    saved: dict[str, Any] = field(factory=dict)
    wormhole: Any = None

    def save(self) -> None:
        self.saved = self.wormhole.serialize()

    def wormhole_got_versions(self, versions: object) -> None:
        self.got.append("versions")

    def wormhole_got_message(self, message: bytes) -> None:
        self.got.append("message")
        if self.answer is not None:
            self.wormhole.send_message(self.answer)
            self.wormhole.close()

    def wormhole_closed(self, result: object) -> None:
        self.got.append("closed")

    def begin(self, url: str, code: str) -> None:
        self.wormhole = holdfast.create(
            text.APPID, url, reactor, delegate=self, journal=Journal(self.save)
        )
        self.wormhole.set_code(code)


def main() -> None:
    """Record, in a folder of its own, and put the result in its place."""
    target = RECORDED / schema.REVISIONS[-1]
    if target.exists():
        raise SystemExit(f"{target} is there already")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with MailboxServer(folder) as server:
            peers = record(folder, server)
            server.stop()
            dump = mailbox_rows(server.database)
        _compact(folder / "journal.sqlite")
        target.mkdir(parents=True)
        shutil.copy(folder / "journal.sqlite", target / "journal.sqlite")
    (target / "journal.sqlite.key").write_text(f"# A key for tests. It guards nothing.\n{KEY}\n")
    (target / "mailbox.sql").write_text(dump)
    (target / "peers.json").write_text(json.dumps(peers, indent=1) + "\n")
    stop()
    print(f"recorded {target}")


def record(folder: Path, server: MailboxServer) -> dict[str, Any]:
    """Bring everybody where they are wanted; return the recipients that are there."""
    database, codes = folder / "journal.sqlite", folder / "codes.csv"
    (folder / "journal.sqlite.key").write_text(f"{KEY}\n")
    home = Holdfast(folder / "home", server.url, str(database))
    others = [name for name in WANTED if name not in (*MINTED, "ida")]
    people(folder / "people.csv", others)
    (folder / "minted.csv").write_text("name\n" + "".join(f"{name}\n" for name in MINTED))
    provision = home.start("provision", folder / "people.csv", "--codes", codes)
    minting = home.start(
        *("provision", folder / "minted.csv", "--mint", MINT, "--codes", folder / "minted.codes")
    )
    with provision, minting, StockReceivers(server.url) as stock:
        until(lambda: len(_codes(codes)) == len(others), "everybody's codes")
        given = _codes(codes)
        until(lambda: _codes(folder / "minted.codes"), "the minted one's code")
        given |= _codes(folder / "minted.codes")
        assert stock.wait(stock.receive(given["eve"])).text == "secret of eve"
        stock.wait(stock.receive(given["fay"].partition("-")[0] + "-wrong-words"))
        assert home.run("cancel", "hal").status == 0
        cleo, dora = Recipient(None), Recipient(None)
        gus = Recipient(messages.refuse("no, thank you"))
        for peer, name in ((cleo, "cleo"), (dora, "dora"), (gus, "gus")):
            call(peer.begin, server.url, given[name])
        until(lambda: "message" in cleo.got, "cleo's offer")
        until(lambda: "versions" in dora.got, "dora is there")
        until(lambda: "closed" in gus.got, "gus is gone")
        expected = {name: status for name, status in WANTED.items() if name != "ida"}
        until(lambda: _statuses(home) == expected, lambda: str(_statuses(home)))
        until(
            lambda: "will be tried again" in home.run("log", "dora", "--wire").out, "a try to mint"
        )
        peers = {"cleo": cleo.saved, "dora": dora.saved}
        provision.kill9()
        minting.kill9()
        for peer in (cleo, dora):
            call(peer.wormhole.abandon)
    # Started by a command that died before it could run it.
    journal = SqlJournal.open_inline(f"sqlite:///{database}", environ={})
    fingerprint = journal.fingerprint("secret", "secret of ida")
    flow = Provision(name="ida", secret="secret of ida")
    new = new_flow("ida", flow, relay=server.url, appid=text.APPID, fingerprint=fingerprint)
    journal.start_flows("default", [new], own=True)
    journal.close()
    assert _statuses(home) == WANTED
    return peers


def people(path: Path, names: list[str]) -> None:
    """The people file of a recording."""
    rows = "".join(f"{name},secret of {name}\n" for name in names)
    path.write_text("name,secret\n" + rows)


def mailbox_rows(path: Path) -> str:
    """A mailbox server's database, in SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def _codes(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    return dict(line.split(",") for line in path.read_text().splitlines()[1:])


def _statuses(home: Holdfast) -> dict[str, str]:
    return {row["name"]: row["status"] for row in json.loads(home.run("status", "--json").out)}


def _compact(path: Path) -> None:
    """Into one small file, which is still one that its release can open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA journal_mode=DELETE",
            "PRAGMA page_size=1024",
            "VACUUM",
        ):
            connection.execute(statement).fetchall()


if __name__ == "__main__":
    main()
