"""A thousand people with a file each, stock recipients, and a process that is killed meanwhile.

    python -m tests.harness.thousand_files --people 1000 --size 1000000 --kills 10 --at-once 20

Everything is a process of its own, but the recipients, who are all in one. Whoever's connection
broke with the process gets a new code, as an operator would do it: a stock client cannot go on. If
there is `holdfast keep`, the connections outlive the process, and nobody needs one.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from attrs import define, field

from tests.harness.aftermath import check_journal, codes_in
from tests.harness.peers import Received, StockReceivers
from tests.harness.process import NO_RELAY, Child, Holdfast
from tests.harness.server import MailboxServer


@define
class Story:
    """What came of it.

    Args:
        seconds: from the first start to the end.
        errors: what the clients said that got nothing, most of them as their connections broke with
            the process: then a new code was needed.
        doubtful: how many have their file, though their flow could not know it.
        peak: the most memory that a life had, in MB.
        lives: of the process.
    """

    seconds: float = 0.0
    errors: Counter[str] = field(factory=Counter)
    doubtful: int = 0
    peak: float = 0.0
    lives: int = 0


@define
class Run:
    """One batch in one folder."""

    folder: Path
    people: int
    size: int
    kills: int
    at_once: int
    rng: random.Random
    rate: str = ""
    """What all files together may move a second: the slower, the more kills are in mid-file."""
    patience: float = 3600.0
    keeps: bool = False
    """Whether `holdfast keep` holds the connections."""
    story: Story = field(factory=Story)
    _given: dict[str, str] = field(factory=dict, init=False)
    """The code that each person has last been given."""
    _has: dict[str, list[str]] = field(factory=dict, init=False)
    """The files that each person has received whole."""
    _seen: set[str] = field(factory=set, init=False)

    def run(self) -> Story:
        """Raises AssertionError for anything that must not be."""
        self._make()
        with (
            MailboxServer(self.folder) as server,
            StockReceivers(server.url) as peers,
        ):
            db = str(self.folder / "holdfast.db")
            home = Holdfast(self.folder / "home", server.url, db, self._environment())
            keeper = home.start("keep") if self.keeps else None
            try:
                self._serve(home, peers)
            finally:
                if keeper is not None:
                    keeper.close()
            self._check(home)
        return self.story

    def _environment(self) -> dict[str, str]:
        return {**NO_RELAY, "HOLDFAST_KEEPER": str(self.folder / "keeper")}

    def _make(self) -> None:
        (self.folder / "files").mkdir()
        rows = ["name,file"]
        for number in range(self.people):
            name = f"person{number:04}"
            (self.folder / "files" / name).write_bytes(self._content(name))
            rows.append(f"{name},files/{name}")
        (self.folder / "people.csv").write_text("\n".join([*rows, ""]))

    def _content(self, name: str) -> bytes:
        return random.Random(name).randbytes(self.size)

    def _serve(self, home: Holdfast, peers: StockReceivers) -> None:
        began, end = time.monotonic(), time.monotonic() + self.patience
        names = [f"person{number:04}" for number in range(self.people)]
        while True:
            words: tuple[str, ...] = ("provision", "people.csv", "--codes", "codes.csv")
            if self.rate:
                words = (*words, "--limit-rate", self.rate)
            child = home.start(*words, cwd=self.folder, fresh=True)  # its own memory is measured
            self.story.lives += 1
            share = self.people * self.story.lives // (self.kills + 1)
            kills = self.story.lives <= self.kills
            while child.alive and not (kills and len(self._has) >= share):
                self._give(names, peers)
                self._notice(peers)
                self._measure(child)
                assert time.monotonic() < end, child.describe()
                time.sleep(0.05)
            if kills and child.alive:
                time.sleep(self.rng.random())
                self._measure(child)
                child.kill9()
                continue
            child.wait()
            child.close()
            self._notice(peers)
            if not self._again(home):
                break
        self.story.seconds = time.monotonic() - began

    def _give(self, names: list[str], peers: StockReceivers) -> None:
        busy = len(self._given) - len(self._has)
        codes = codes_in(self.folder / "codes.csv")
        for name in names:
            if busy >= self.at_once:
                return
            code = codes.get(name)
            if code is None or name in self._has or self._given.get(name) == code:
                continue
            busy += name not in self._given
            self._given[name] = code
            attempt = f"{name} {code} {sum(each.startswith(name) for each in self._seen)}"
            peers.receive(code, attempt, self.folder / attempt)

    def _notice(self, peers: StockReceivers) -> None:
        for ended, outcome in peers.outcomes.items():
            if ended not in self._seen:
                self._seen.add(ended)
                self._note(ended, outcome)

    def _note(self, ended: str, outcome: Received) -> None:
        name = ended.split()[0]
        path = self.folder / ended
        if outcome.ok:
            assert path.read_bytes() == self._content(name), f"{name} has something else"
            self._has.setdefault(name, []).append(ended)
            path.unlink()
            return
        assert not path.exists(), f"{name} has a part, and a client that failed"
        self.story.errors[f"{outcome.error}: {str(outcome.detail)[:70]}"] += 1
        if outcome.error == "ServerConnectionError":  # they try again, as a person does
            del self._given[name]

    def _again(self, home: Holdfast) -> bool:
        """Give those a new code who need one; whether there are any."""
        rows = json.loads(home.run("status", "--json").out)
        failed = {row["name"] for row in rows if row["status"] != "done"}
        for name in sorted(failed - self._has.keys()):
            assert home.run("retry", "--force", name).status == 0
        self.story.doubtful = len(failed & self._has.keys())
        return bool(failed - self._has.keys())

    def _measure(self, child: Child) -> None:
        try:
            text = Path(f"/proc/{child.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return
        found = re.search(r"VmHWM:\s+(\d+) kB", text)
        if found is not None:
            self.story.peak = max(self.story.peak, int(found[1]) / 1024)

    def _check(self, home: Holdfast) -> None:
        """Everybody has theirs, once, and all is over."""
        counted = Counter({name: len(times) for name, times in self._has.items()})
        assert len(counted) == self.people
        assert set(counted.values()) == {1}, [n for n, times in counted.items() if times > 1]
        rows = json.loads(home.run("status", "--json").out)
        open_ = [row["name"] for row in rows if row["finished_at"] is None]
        assert not open_, open_
        check_journal(self.folder / "holdfast.db")


def main() -> int:
    """Run it, and print what came of it."""
    parser = argparse.ArgumentParser()
    for name, usual in (("people", 1000), ("size", 1_000_000), ("kills", 10), ("at-once", 20)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--rate", default="")
    parser.add_argument("--keep", action="store_true", help="let `holdfast keep` run")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-files-") as folder:
        rng = random.Random(asked.seed)
        place, numbers = Path(folder), (asked.people, asked.size, asked.kills, asked.at_once)
        run = Run(place, *numbers, rng, rate=asked.rate, keeps=asked.keep)
        story = run.run()
    print(
        f"{asked.people} people, {asked.size:,} bytes each, {asked.at_once} at once,"
        f" {asked.kills} kills: everybody has theirs, once, in {story.seconds:.0f} s;"
        f" errors of clients: {dict(story.errors)}, {story.doubtful} without a receipt;"
        f" at most {story.peak:.0f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
