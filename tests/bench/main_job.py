"""CPU of the main job: to start a person, and to hand over, beside a naive program.

N people from a CSV file and N stock recipients, who come at an even pace.  Ours is
`holdfast provision`, with its journal on a real disk; the peer's is a program of sixty lines over
the stock library (`peers/wormhole_main_job.py`), which keeps no journal.  Fair, because both meet
the same mailbox server and the same recipients, each in a process of its own, and only the CPU of
the provisioning process counts, as the kernel has it: until the last code is in the file, and from
then to the process's end.  What a process needs to begin at all is measured with one person, taken
off, and said below the table.

With `holdfast mailbox` ours lets go of everybody who waits, so to hand over is to load a flow and
to connect anew; that is the price of waiting for nothing, and has rows of its own.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.measuring import HERE, Bench, Command, Figures, Outcome, Row, folder, sample
from tests.bench.thousand_waiting import codes_in
from tests.bench.usage import usage
from tests.harness.peers import StockReceivers
from tests.harness.process import BIN, environment
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

STOCK, OWN = "a stock server", "`holdfast mailbox`"
RUNS = ((STOCK, 200, 3), (STOCK, 1000, 1), (OWN, 200, 3))
"""The mailbox server, how many people, and in how many rounds."""
A_SECOND = 20
"""Recipients that come in a second."""

Words = Callable[[Path, str], Command]
"""The provisioning program's words, for its folder and the server's URL."""


def naive(bench: Bench) -> Words:
    """The stock library."""
    program = [bench.python("wormhole"), HERE / "peers" / "wormhole_main_job.py"]
    return lambda place, url: [*program, place / "people.csv", place / "codes.csv", url]


def holdfast(place: Path, url: str) -> Command:
    """Ours."""
    return [
        *(BIN / "holdfast", "provision", place / "people.csv", "--codes", place / "codes.csv"),
        *("--db", place / "h.db", "--relay", url),
    ]


def run(words: Words, people: int, where: Path, server: MailboxServer) -> tuple[float, float]:
    """CPU seconds until all have codes, and of the rest."""
    where.mkdir(parents=True)
    rows = "".join(f"p{n:04},secret-{n:04}\n" for n in range(people))
    (where / "people.csv").write_text(f"name,secret\n{rows}")
    codes = where / "codes.csv"
    env = environment(HOLDFAST_KEY="5a" * 32, HOME=str(where), XDG_STATE_HOME=str(where / "s"))
    with (where / "said.txt").open("wb") as said, StockReceivers(server.url) as receivers:
        process = subprocess.Popen(
            words(where, server.url), stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env
        )
        try:
            until(lambda: len(codes_in(codes)) == people, "all codes", 300)
            time.sleep(1)  # what belongs to the codes is over
            before = usage(process.pid).cpu
            collect(receivers, codes_in(codes))
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        assert process.returncode == 0, (where / "said.txt").read_text()[-2000:]
    return before, used.ru_utime + used.ru_stime - before


def collect(receivers: StockReceivers, codes: dict[str, str]) -> None:
    """Let everybody come, one after the other, and see that they got what is theirs."""
    begun = time.monotonic()
    for place, (person, code) in enumerate(codes.items()):
        due = begun + place / A_SECOND
        until(lambda due=due: time.monotonic() >= due, "the next one's time", 60)
        receivers.receive(code, person)
    for person, outcome in receivers.wait_all(timeout=300).items():
        assert outcome.text == f"secret-{person[1:]}", outcome


def measure(words: Words, people: int, where: Path, server: MailboxServer) -> Figures:
    """CPU milliseconds a person."""
    alone, farewell = run(words, 1, where / "one", server)
    start, hand_over = run(words, people, where / "all", server)
    return {
        "start": (start - alone) / (people - 1) * 1000,
        "hand_over": (hand_over - farewell) / (people - 1) * 1000,
        "to_begin": alone,
    }


def rows(people: int, kind: str, peer: Sequence[Figures], ours: Sequence[Figures]) -> Sequence[Row]:
    """Those for so many people on one kind of mailbox server."""

    def row(what: str, phase: str, at_most: float) -> Row:
        theirs, mine = sample(peer, phase, "ms"), sample(ours, phase, "ms")
        return Row(
            f"{what}, of {people:,}, on {kind}", theirs, mine, at_most=at_most, then=2 * at_most
        )

    return [
        row("CPU to start a person", "start", 3.8),
        row("CPU to hand a person's secret over", "hand_over", 3.75),
    ]


def compare(bench: Bench) -> Outcome:
    """Each of `RUNS`."""
    shown: list[Row] = []
    notes: list[str] = []
    numbers = iter(range(1000))
    with folder() as quick, folder(on_disk=True) as disk:
        for kind, people, count in RUNS:
            place = quick / f"{next(numbers)}"
            place.mkdir()
            with MailboxServer(place, keep="30d" if kind == OWN else None) as server:

                def contestant(
                    words: Words, people: int = people, server: MailboxServer = server
                ) -> Callable[[], Figures]:
                    return lambda: measure(words, people, disk / f"{next(numbers)}", server)

                found = bench.rounds(
                    count,
                    {
                        "naive, magic-wormhole": contestant(naive(bench)),
                        "holdfast provision": contestant(holdfast),
                    },
                )
            shown += rows(people, kind, *found.values())
            begun = " and ".join(str(sample(each, "to_begin", "s")) for each in found.values())
            notes = [f"To begin at all, the naive program and `holdfast provision` need {begun}."]
    return Outcome(shown, notes=notes)
