"""`make demo`: twenty people get their secrets or files, each exactly once, through kill -9.

A mailbox server, a provisioning process that is killed with SIGKILL again and again, and twenty
recipients who each run the stock client's `wormhole receive CODE`, once, or `holdfast receive`.
`holdfast keep` holds the connections of files meanwhile. Everything is a process of its own, as in
life. SEED=... in the environment replays the moments of the kills.
"""

import os
import random
import secrets
import shlex
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

from attrs import define, field, frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast_journal.store import schema
from tests.harness.aftermath import check_journal, check_statuses, codes_in
from tests.harness.batch import Batch
from tests.harness.nursery import PROGRAM, Death
from tests.harness.peers import shown, wormhole_receive, wormhole_receive_file
from tests.harness.process import BIN, NO_RELAY, Child, Finished, Holdfast, environment
from tests.harness.server import MailboxServer
from tests.harness.waiting import DEADLINE

NAMES = (
    *("Ada", "Alan", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Ida"),
    *("Joan", "Katherine", "Leslie", "Margaret", "Niklaus", "Olga", "Peter", "Radia", "Sophie"),
    "Tim",
)
FILES = ("Barbara", "Donald", "Hedy", "Joan", "Niklaus", "Sophie")
"""Those who get a file."""

HOLDFASTS = ("Hedy", "Sophie")
"""Those of them who have a Holdfast, too."""

SIZE = 4_000_000
"""Bytes of each file: thirty pieces."""

RATE = "3MB"
"""Of all files together, a second: so that a kill comes in the middle of some."""

KILLS = 6
MIDDLE = 3
"""How many of them come in the middle of a file."""

COMMAND = ("holdfast", "provision", "people.csv", "--codes", "codes.csv", "--limit-rate", RATE)

FRAMES = ("bind", "allocate", "claim", "open", "ping", "add", "release", "close")
WORDS = {
    "time": "at a random instant",
    "upgrade": "making the database",
    "start": "starting the flows",
    "take": "taking up the flows",
    "rename": "writing the codes file",
    "over": "seeing a flow to its end",
    "leave": "letting go of the database",
    "record": "sending a piece of a file",
}
HEARD = {
    "own": "the server's receipt for a message",
    "pake": "a recipient's first message",
    "version": "a recipient's proof of the code",
    "0": "a recipient's answer",
    "pong": "the server's pong",
    "welcome": "the server's welcome",
}


def in_words(moment: str) -> str:
    """Say in words at which moment a process died."""
    place, _, rest = moment.partition(":")
    when = rest.partition(":")[0]
    if place.startswith("commit-"):
        what = f"the commit of '{place.removeprefix('commit-')}'"
        return {"during": f"inside {what}"}.get(when, f"right {when} {what}")
    if place.startswith("send-from-"):
        return f"right {when} sending a file from byte {int(place.removeprefix('send-from-')):,}"
    if place.startswith("hear-"):
        kind = place.removeprefix("hear-")
        what = HEARD.get(kind, f"the server's '{kind}'")
        return f"with {what} {'unread' if when == 'before' else 'handled and not yet saved'}"
    if place in FRAMES:
        return f"right {when} sending '{place}'"
    return f"right {when} {WORDS[place]}" if when else WORDS.get(place, place)


@frozen
class Life:
    """One life of the provisioning process."""

    child: Child
    log: Path

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.child.alive

    @property
    def died_at(self) -> str | None:
        """The moment at which it killed itself."""
        last = self.log.read_text().splitlines()[-1:] if self.log.exists() else []
        return last[0].removeprefix("died ") if last else None

    def wait(self, timeout: float = DEADLINE) -> Finished:
        """Wait for its end."""
        return self.child.wait(timeout)

    def describe(self) -> str:
        """All it said."""
        return self.child.describe()


@define
class Recipients:
    """People who each run `wormhole receive CODE` once."""

    relay: str
    folder: Path
    running: dict[str, Child] = field(factory=dict)
    results: dict[str, Finished] = field(factory=dict)

    def receive(self, code: str, id: str) -> str:
        """Start one."""
        into = self.got(id).parent
        into.mkdir()
        if id in HOLDFASTS:
            home = self.folder / f"home of {id}"
            holdfast = Holdfast(home, self.relay, str(home / "holdfast.db"), NO_RELAY)
            self.running[id] = holdfast.start("receive", code, "--accept", "--out", self.got(id))
        elif id in FILES:
            self.running[id] = wormhole_receive_file(self.relay, code, into)
        else:
            self.running[id] = wormhole_receive(self.relay, code)
        return id

    def got(self, name: str) -> Path:
        """Where somebody's file comes."""
        return self.folder / f"inbox of {name}" / f"{name}.bin"

    @property
    def ended(self) -> set[str]:
        """Who has ended."""
        for name, child in list(self.running.items()):
            if not child.alive:
                self.results[name] = child.wait()
                child.close()
                del self.running[name]
        return set(self.results)


@define
class Teller:
    """Tells the story as it goes, a line for each thing that happens."""

    console: Console
    began: float = field(factory=time.monotonic)
    people: int = 0

    def say(self, what: str, style: str = "") -> None:
        """Print one line with the time since the beginning."""
        line = Text(f"{time.monotonic() - self.began:5.1f} s  ", "dim")
        line.append(what, style)
        self.console.print(line, soft_wrap=True)

    def born(self, life: int) -> None:
        """The process was started."""
        self.say("provision started" if life == 1 else "started again, with the same command")

    def died(self, life: int, moment: str) -> None:
        """It was killed."""
        self.say(f"kill -9, {in_words(moment)}", "bold red")

    def collected(self, name: str, at: float) -> None:
        """Somebody has their secret."""
        self.people += 1
        self.say(f"{name} has collected ({self.people} of {len(NAMES)})", "green")


@define
class Demo:
    """The whole story, in one folder."""

    folder: Path
    server: MailboxServer
    seed: str
    teller: Teller
    lives: list[Life] = field(factory=list)

    def run(self) -> bool:
        """Tell it; return whether everybody got exactly one copy of exactly what is theirs."""
        wanted = {name: f"token-{secrets.token_hex(8)}" for name in NAMES if name not in FILES}
        for name in FILES:
            (self.folder / f"{name}.bin").write_bytes(secrets.token_bytes(SIZE))
        rows = [f"{n},,{n}.bin" if n in FILES else f"{n},{wanted[n]}," for n in NAMES]
        people, codes_file = self.folder / "people.csv", self.folder / "codes.csv"
        people.write_text("\n".join(["name,secret,file", *rows, ""]))
        recipients = Recipients(self.server.url, self.folder)
        rng = random.Random(self.seed)
        batch = Batch(
            names=list(NAMES),
            codes_file=codes_file,
            start=self._start,
            peers=recipients,
            rng=rng,
            kills=KILLS,
            steps=400,
            late=25,
            late_places=("hear-version", "hear-0", "hear-0"),
            longest_life=8.0,
            at_once=3,
            first=FILES,
            # A file has thirty pieces, and other things happen between two of them.
            sure=[Death(since="record", step=rng.randint(5, 40)) for _ in range(MIDDLE)],
            story=self.teller,
        )
        keeper = Child([BIN / "holdfast", "keep"], env=self._environment(), fresh=True)
        try:
            keeper.wait_for("^keeping connections")
            batch.run(2 * DEADLINE)
            end = time.monotonic() + DEADLINE
            while recipients.running and time.monotonic() < end:
                batch.notice()
                time.sleep(0.02)
        finally:
            for child in [*recipients.running.values(), keeper]:
                child.close()
            for life in self.lives:
                life.child.close()
        return self._tell_the_end(wanted, codes_in(codes_file), recipients)

    def _start(self, death: Death) -> Life:
        log = self.folder / f"life-{len(self.lives) + 1}.log"
        words: list[str | Path] = [sys.executable, PROGRAM, "--log", log]
        if death.step is not None:
            words += ["--kill-step", str(death.step)]
        if death.since is not None:
            words += ["--since", death.since]
        if death.seconds is not None:
            words += ["--kill-after", str(death.seconds)]
        words += COMMAND[1:]
        child = Child(words, env=self._environment(), cwd=self.folder, fresh=True)
        self.lives.append(Life(child, log))
        return self.lives[-1]

    def _environment(self) -> dict[str, str]:
        return environment(
            HOME=str(self.folder),
            HOLDFAST_DB=f"sqlite:///{self.folder / 'journal.db'}",
            HOLDFAST_RELAY=self.server.url,
            HOLDFAST_KEEPER=str(self.folder / "keeper"),
            **NO_RELAY,
        )

    def _tell_the_end(
        self, wanted: dict[str, str], codes: dict[str, str], recipients: Recipients
    ) -> bool:
        results = recipients.results
        workers = _workers(self.folder / "journal.db")
        by_pid = {life.child.pid: number for number, life in enumerate(self.lives, 1)}
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("PERSON", "GETS", "CODE", "COLLECTED", "DELIVERED", "BY"):
            table.add_column(title, no_wrap=True)
        good = True
        for name in NAMES:
            result = results.get(name)
            if name in FILES:
                exact = _same(self.folder / f"{name}.bin", recipients.got(name))
                copies = int(exact and result is not None and result.status == 0)
            else:
                secret = shown(wanted[name])
                copies = 0 if result is None else result.out.count(secret)
                exact = result is not None and result.out == f"{secret}\n"
            at, pid = workers.get(name, (None, 0))
            fine = exact and copies == 1 and at is not None and name in codes
            good = good and fine
            when = "" if at is None else datetime.fromtimestamp(at).strftime("%H:%M:%S")
            times = {1: "once"}.get(copies, f"{copies} times") if fine or copies != 1 else "wrong"
            by = f"life {by_pid[pid]} of {len(self.lives)}" if pid in by_pid else "nobody"
            style = "green" if fine else "bold red"
            gets = "a file" if name in FILES else "a secret"
            table.add_row(name, gets, codes.get(name, ""), when, Text(times, style), by)
        console = self.teller.console
        console.print()
        console.print(table)
        console.print()
        holdfast = Holdfast(
            self.folder, relay=self.server.url, db=self._environment()["HOLDFAST_DB"]
        )
        check_statuses(holdfast.run("status", "--json").out, dict.fromkeys(NAMES, "done"))
        check_journal(self.folder / "journal.db")
        assert not self.server.tables().messages, "messages were left on the server"
        return good


def _workers(database: Path) -> dict[str, tuple[float, int]]:
    """Return when, and by which process, each person's last answer was recorded."""
    query = (
        f"SELECT flows.name, entries.at, workers.pid FROM {schema.entries.name} AS entries"
        f" JOIN {schema.flows.name} AS flows ON flows.id = entries.flow_id"
        f" JOIN {schema.workers.name} AS workers ON workers.id = entries.worker"
        " WHERE entries.heard LIKE 'peer: message %' OR entries.heard LIKE 'sending: ack%'"
        " ORDER BY entries.seq"
    )
    with closing(sqlite3.connect(database)) as connection:
        return {name: (at, pid) for name, at, pid in connection.execute(query)}


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


def main() -> int:
    """Run it; 0 if everybody got exactly one copy of exactly what is theirs."""
    seed = os.environ.get("SEED") or secrets.token_hex(3)
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    console.print(
        f"{len(NAMES)} people in people.csv are each to get a secret, once, or {len(FILES)} of them"
        " a file:"
    )
    console.print(f"  {shlex.join(COMMAND)}", style="bold")
    console.print(
        f"It will be killed with SIGKILL {KILLS} times, {MIDDLE} of them in the middle of a file;"
        f" SEED={seed} chooses these moments again.\n"
    )
    try:
        with MailboxServer(folder) as server:
            teller = Teller(console)
            teller.say(f"mailbox server at {server.url}")
            good = Demo(folder, server, seed, teller).run()
    except AssertionError as error:
        console.print(f"\nIt went wrong: {error}\nEverything is kept in {folder}", style="bold red")
        return 1
    if not good:
        console.print(f"Somebody did not get it. Everything is kept in {folder}", style="bold red")
        return 1
    shutil.rmtree(folder)
    console.print(
        f"All {len(NAMES)} have exactly one copy of exactly what is theirs, through {KILLS} kills."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
