"""No secret of a flow, under way or over, is in any file or in anything that a command prints."""

import csv
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from click.testing import Result
from sqlalchemy import select

from holdfast.core.codec import from_json
from holdfast.core.events import MessageArrived
from holdfast.crypto import Entropy, phase_key
from holdfast.crypto.pake import scalar_from_seed
from holdfast_journal import KeyRing, SqlJournal
from holdfast_journal.doctor.examined import Examined
from holdfast_journal.store.schema import flows
from tests.cli.conftest import mistyped
from tests.cli.journals import run
from tests.harness.aftermath import codes_in
from tests.harness.nursery import Death, Nursery, Victim
from tests.harness.peers import StockReceivers
from tests.harness.searching import files_below, forms, search
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

ANSWERS = "hear-0:before:1"
"""The moment at which the first recipient has answered, and nobody knows it yet."""

CODE = ("code", "words")
"""Two secrets of each flow: its code, and the code without the number."""

SECRETS = {
    "ada": 'adas "sécret" \\ 1f6c',
    "bob": "bobs <secret> & ☃ 77aa",
    "dan": "dans 'secret' 0x5d 91",
    "cara": "minted for cara: ümlaut/+ 4711",
    "emil": "minted for emil: never 1234",
}


@define
class Home:
    """One database, all that its commands have printed, and every secret that there ever was."""

    path: Path
    relay: str
    nursery: Nursery
    printed: dict[str, str] = field(factory=dict)
    lives: list[Victim] = field(factory=list)
    secrets: dict[str, bytes | str] = field(factory=dict)

    @property
    def database(self) -> Path:
        return self.path / "journal.db"

    @property
    def ring(self) -> KeyRing:
        return KeyRing.parse(self.database.with_name("journal.db.key").read_text(), "test")

    def start(self, *words: str | Path, **death: Any) -> Victim:
        """Start a command that serves flows."""
        place = {"HOLDFAST_RELAY": self.relay, "HOLDFAST_DB": f"sqlite:///{self.database}"}
        victim = self.nursery.start(*words, home=self.path, death=Death(**death), **place)
        self.lives.append(victim)
        return victim

    def ask(self, *words: str) -> Result:
        """Run a command that shows or changes something, and keep what it says."""
        result = run(self.database, *words)
        assert result.exit_code == 0, result.output
        self.printed[f"{len(self.printed)} {' '.join(words)}"] = result.stdout + result.stderr
        return result

    def statuses(self) -> dict[str, str]:
        result = run(self.database, "status", "--json")
        assert result.exit_code == 0, result.output
        shown = json.loads(result.stdout)
        return {row["name"]: row["status"] for row in shown}

    def learn(self) -> list[Examined]:
        """Open everything with the master key, and remember every secret; return all of it."""
        ring = self.ring
        journal = SqlJournal.open_inline(f"sqlite:///{self.database}", environ={})
        try:
            found = list(journal.checks.flows())
            with journal._database.reading() as connection:
                rows = connection.execute(select(flows)).all()
        finally:
            journal.close()
        for row in rows:
            if row.data_key is not None:
                self.secrets[f"data key of {row.name}"] = ring.open_data_key(row.uid, row.data_key)
        for flow in found:
            for name, secret in secrets_of(flow):
                self.secrets[f"{name} of {flow.name}"] = secret
        self.secrets["master key"] = bytes.fromhex(
            self.database.with_name("journal.db.key").read_text().split()[-1]
        )
        return found

    def places(self) -> dict[str, bytes]:
        """All that could hold a secret and must not: files, and what was printed."""
        files = files_below(self.path)
        printed = {f"output: {name}": text.encode() for name, text in self.printed.items()}
        for number, life in enumerate(self.lives):
            printed[f"output of life {number}"] = (life.out + life.err).encode()
            if life.alive:
                process = Path("/proc") / str(life.pid)
                for name in ("cmdline", "comm"):
                    printed[f"{name} of life {number}"] = (process / name).read_bytes()
        return files | printed

    def search(self) -> set[tuple[str, str]]:
        """What is found where, but for what must be there."""
        return {
            (place, name)
            for place, name, _ in search(self.places(), self.secrets)
            if (place, name) != ("journal.db.key", "master key")
        }


def secrets_of(flow: Examined) -> Iterator[tuple[str, bytes | str]]:
    """Whatever would give something away, by what it is."""
    if flow.params is not None:
        secret = json.loads(flow.params)["params"].get("secret")
        if secret:
            yield "secret", secret
    seeds = []
    sides, phases = set(), {"version", "0", "1"}
    for entry in flow.entries:
        body = json.loads(entry.event or b"{}")
        if "event" in body:
            seeds.append(bytes.fromhex(body["seed"]))
            yield f"seed {entry.seq}", seeds[-1]
            event = from_json(body["event"])
            if isinstance(event, MessageArrived):
                sides.add(event.side)
    for number, seed in enumerate(seeds):
        # More than there are: only one of the seeds made the scalar, and nobody need know which.
        scalar = scalar_from_seed(Entropy(seed).draw("scalar", 64))
        yield f"scalar {number}", bytes.fromhex(scalar)
    if flow.checkpoint:
        exchange = json.loads(flow.checkpoint)["wormhole"]["exchange"]
        if exchange["code"]["data"]["code"]:
            code = exchange["code"]["data"]["code"]
            yield f"code {code}", code
            yield f"words {code}", code.partition("-")[2]
        if exchange["key"]["data"]["scalar"]:
            yield "the scalar", bytes.fromhex(exchange["key"]["data"]["scalar"])
        if exchange["key"]["data"]["key"]:
            shared = bytes.fromhex(exchange["key"]["data"]["key"])
            yield "shared key", shared
            for side in sorted(sides):
                for phase in sorted(phases):
                    yield f"key of {side} {phase}", phase_key(shared, side, phase)


@pytest.fixture
def home(tmp_path: Path, mailbox: MailboxServer) -> Iterator[Home]:
    path = tmp_path / "home"
    (path / "state").mkdir(parents=True)
    with Nursery(tmp_path / "lives") as nursery:
        yield Home(path, mailbox.url, nursery)


def write_people(path: Path, *names: str) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["name", "secret"])
        writer.writerows((name, SECRETS[name]) for name in names)


def write_mint(folder: Path) -> Path:
    """A command that prints the secret of whom it is told."""
    for name in ("cara", "emil"):
        (folder / name).write_text(SECRETS[name])
    program = folder / "mint"
    program.write_text(f'#!/bin/sh\ncat "{folder}/$1"\n')
    program.chmod(0o700)
    (folder / "names.csv").write_text("name\ncara\nemil\n")
    return program


def test_none_is_found(home: Home, stock: StockReceivers, tmp_path: Path) -> None:
    """Through kill -9, a wrong code, a retry and a mint: nothing is found anywhere, at any time."""
    home.secrets |= {f"secret of {name}": secret for name, secret in SECRETS.items()}
    write_people(tmp_path / "people.csv", "ada", "bob", "dan")
    codes = tmp_path / "codes.csv"
    provision = home.start("provision", tmp_path / "people.csv", "--codes", codes, halts=(ANSWERS,))
    given = until(lambda: len(found := codes_in(codes)) == 3 and found, "all codes")
    ada = stock.receive(given["ada"])
    until(lambda: provision.halted_at(ANSWERS), "the recipient's answer")
    # Now the key is agreed, the secret is sent, and nothing of the flow is shredded.
    opened = {flow.name: flow for flow in home.learn()}
    assert {"shared key of ada", "the scalar of bob", f"code {given['ada']} of ada"} <= set(
        home.secrets
    )
    assert home.search() == set()
    provision.go_on()
    assert stock.wait(ada).ok
    assert stock.wait(mistyped(stock, given["dan"])).error == "WrongPasswordError"
    ended = {"ada": "done", "bob": "waiting", "dan": "scared"}
    until(lambda: home.statuses() == ended, "ada is done, and dan is not")
    home.learn()
    # It is emptied when ada is done, and written when the lease is renewed.
    log = home.path / "journal.db-wal"
    until(lambda: log.stat().st_size, "something in the write-ahead log")
    provision.kill9()

    mint = f"{write_mint(tmp_path)} {{name}}"
    words = ("provision", tmp_path / "names.csv", "--batch", "minted", "--mint", mint)
    minting = home.start(*words, halts=(ANSWERS,))
    printed = re.compile(r"^(\w+)\t(\S+)$", re.MULTILINE)
    given |= until(
        lambda: len(found := printed.findall(minting.out)) == 2 and dict(found), "the codes"
    )
    cara = stock.receive(given["cara"])
    until(lambda: minting.halted_at(ANSWERS), "the recipient's answer")
    home.learn()
    assert "shared key of cara" in home.secrets
    minting.go_on()
    assert stock.wait(cara).ok
    until(lambda: home.statuses()["cara"] == "done", "cara is done")
    minting.kill9()

    home.ask("retry", "dan")
    serving = home.start("run")
    until(lambda: home.statuses()["dan"] == "waiting", "dan's new code")
    home.learn()
    assert len([name for name in home.secrets if name.startswith("code ")]) == 6
    live = {name for name in home.secrets if name.startswith(CODE)}
    live = {name for name in live if name.endswith(("of bob", "of dan", "of emil"))}
    live -= {f"{what} {given['dan']} of dan" for what in CODE}
    assert len(live) == 6
    for words in (
        *(("status",), ("status", "--json"), ("doctor",), ("doctor", "--json")),
        *(("db", "check"), ("key", "list"), ("purge", "--older-than", "1d", "--dry-run")),
        *(("log", "--wire", name) for name in SECRETS),
        *((what, name) for name in SECRETS for what in ("status", "doctor")),
    ):
        home.ask(*words)
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("VACUUM INTO ?", [str(home.path / "state" / "backup.db")])
    serving.signal(15)
    assert serving.wait().status == 0

    minted = {f"{what} {given[name]} of {name}" for name in ("cara", "emil") for what in CODE}
    strange = set()
    for place, name in (found := home.search()):
        if place == "output of life 1":  # that of provision without --codes
            legitimate = minted
        else:
            legitimate = live if " status" in place else set()
        if name not in legitimate:
            strange.add((place, name))
    assert strange == set()
    assert {name for place, name in found if " status" in place} == live, "the search works"
    check_the_search(home, opened)


def check_the_search(home: Home, opened: dict[str, Examined]) -> None:
    """What is unsealed would be found, and so would a secret in any of its forms."""
    plain = {
        flow.name: b"".join(
            [flow.params or b"", flow.checkpoint or b"", *(e.event or b"" for e in flow.entries)]
        )
        for flow in opened.values()
    }
    found = {(place, name) for place, name, _ in search(plain, home.secrets)}
    for name in ("ada", "bob", "dan"):
        assert (name, f"secret of {name}") in found
    assert ("ada", "shared key of ada") in found
    assert ("bob", "the scalar of bob") in found
    planted = home.path / "state" / "planted"
    for name in ("secret of bob", "data key of emil", "the scalar of bob"):
        secret = home.secrets[name]
        for form in forms(secret):
            planted.write_bytes(b"before " + form + b" after")
            assert list(search({"planted": planted.read_bytes()}, {name: secret}))
    assert ("state/planted", "the scalar of bob") in home.search()
