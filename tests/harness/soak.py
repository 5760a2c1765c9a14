"""`make soak KILLS=1000`: batches of people, while their process and their server are killed.

Each batch has a seed of its own, which `--seed SEED --kills 1` replays.  What a stock client cannot
survive is counted apart and is no anomaly: it gives up if there is no server when it starts (the
person tries again), and an answer of its that was on its way to a dying server is lost, so that the
flow stays `exchanging` although its recipient has the secret.
"""

import argparse
import json
import random
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from attrs import define, evolve, field

from tests.harness.aftermath import check_journal, check_statuses, codes_in
from tests.harness.batch import Batch
from tests.harness.nursery import Death, Nursery, Victim
from tests.harness.peers import Received, StockReceivers, shown
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

PEOPLE = 20
KILLS = 20
GIVE_UP = 15.0
"""Seconds of nothing but flows that wait for an answer, after which their batch is over."""


@define
class Figures:
    """What a soak counts."""

    kills: int = 0
    server_kills: int = 0
    batches: int = 0
    exchanges: int = 0
    deliveries: int = 0
    tried_again: int = 0
    answers_lost: int = 0
    nameplates_lost: int = 0
    places: dict[str, int] = field(factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.batches} batches, {self.kills} kills of the process at"
            f" {len(self.places)} different moments, {self.server_kills} of the server,"
            f" {self.exchanges} exchanges, {self.deliveries} deliveries;"
            f" by the stock client: {self.tried_again} started again,"
            f" {self.answers_lost} answers lost; nameplates left to the server: "
            f"{self.nameplates_lost}"
        )


@define
class Recipients:
    """Stock receivers that are started again, as a person does, if there was no server."""

    peers: StockReceivers
    figures: Figures
    codes: dict[str, str] = field(factory=dict)
    attempts: dict[str, str] = field(factory=dict)

    def receive(self, code: str, id: str) -> str:
        self.codes[id] = code
        self.attempts[id] = self.peers.receive(code, id)
        return id

    @property
    def ended(self) -> set[str]:
        return {id for id in self.codes if self.outcome(id) is not None}

    def outcome(self, id: str) -> Received | None:
        """How it ended; one that found no server is started again, and has not ended."""
        attempt = self.attempts[id]
        found = self.peers.outcomes.get(attempt)
        if found is not None and found.error == "ServerConnectionError":
            self.figures.tried_again += 1
            self.attempts[id] = self.peers.receive(self.codes[id], f"{attempt}+")
            return None
        return found


@define
class Soak:
    """One batch after another, in one folder."""

    folder: Path
    nursery: Nursery
    figures: Figures = field(factory=Figures)

    def batch(self, seed: str) -> None:
        """Run one batch.  Raises AssertionError for anything that must not be."""
        home = self.folder / seed.replace("/", "-")
        home.mkdir()
        rng = random.Random(seed)
        wanted = {f"person {number}": f"secret {number} of {seed}" for number in range(PEOPLE)}
        rows = "".join(f"{name},{secret}\n" for name, secret in wanted.items())
        (home / "people.csv").write_text(f"name,secret\n{rows}")
        with MailboxServer(home) as server, StockReceivers(server.url) as peers:
            self._run(home, rng, wanted, server, Recipients(peers, self.figures))

    def _run(
        self,
        home: Path,
        rng: random.Random,
        wanted: dict[str, str],
        server: MailboxServer,
        recipients: Recipients,
    ) -> None:
        lives: list[Victim] = []
        place = {"HOLDFAST_RELAY": server.url, "HOLDFAST_DB": f"sqlite:///{home / 'journal.db'}"}
        odds = rng.choice([0.0, 0.005, 0.02])

        def start(death: Death) -> Victim:
            words = ("provision", "people.csv", "--codes", "codes.csv")
            death = evolve(death, record=True)
            lives.append(self.nursery.start(*words, home=home, death=death, **place))
            return lives[-1]

        waiting_since = 0.0

        def between() -> None:
            nonlocal waiting_since
            if len(batch.deaths) < KILLS:
                if rng.random() < odds:
                    server.restart()
                    self.figures.server_kills += 1
            elif len(recipients.ended) == PEOPLE:
                # All have it; what is not over by now waits for an answer that was lost.
                waiting_since = waiting_since or time.monotonic()
                if time.monotonic() - waiting_since > GIVE_UP:
                    lives[-1].signal(2)

        batch = Batch(
            names=list(wanted),
            codes_file=home / "codes.csv",
            start=start,
            peers=recipients,
            rng=rng,
            kills=KILLS,
            steps=300,
            between=between,
            stopped=lambda: waiting_since > 0,
        )
        batch.run()
        self.figures.batches += 1
        self.figures.exchanges += PEOPLE
        self.figures.kills += len(batch.deaths)
        for death in batch.deaths:
            moment = death.rpartition(":")[0] or death
            self.figures.places[moment] = self.figures.places.get(moment, 0) + 1
        self._check(home, wanted, server, recipients, place, lives)
        assert codes_in(home / "codes.csv") == batch.given

    def _check(
        self,
        home: Path,
        wanted: dict[str, str],
        server: MailboxServer,
        recipients: Recipients,
        place: dict[str, str],
        lives: list[Victim],
    ) -> None:
        until(lambda: len(recipients.ended) == PEOPLE, "the end of all recipients")
        for name, secret in wanted.items():
            outcome = recipients.outcome(name)
            assert outcome == Received(True, shown(secret)), f"{name}: {outcome}"
            self.figures.deliveries += 1
        shown_now = json.loads(self._holdfast(home, place, "status", "--json"))
        unanswered = [row["name"] for row in shown_now if row["status"] == "exchanging"]
        tables = server.tables()
        answers = {row["side"] for row in tables.messages if row["phase"] == "0"}
        for name in unanswered:
            # Our message is there, and no answer to it.
            assert len(answers) == len(unanswered), f"{name} is exchanging: {tables}"
            self._holdfast(home, place, "cancel", name)
        self.figures.answers_lost += len(unanswered)
        statuses = dict.fromkeys(wanted, "done") | dict.fromkeys(unanswered, "cancelled")
        check_statuses(self._holdfast(home, place, "status", "--json"), statuses)
        check_journal(home / "journal.db")
        lost = sum(life.lost_nameplates for life in lives)

        def clean() -> bool:
            left = server.tables()
            return not left.messages and len(left.nameplates) == len(left.mailboxes) <= lost

        until(clean, lambda: f"{lost} nameplates alone: {server.tables()}")
        self.figures.nameplates_lost += len(server.tables().nameplates)

    def _holdfast(self, home: Path, place: dict[str, str], *words: str) -> str:
        done = self.nursery.run(*words, home=home, **place)
        assert done.status == 0, done
        return done.out


def main() -> int:
    """Repeat batches until there were enough kills; 1 if something was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", default=None, help="begin with this batch")
    given = parser.parse_args()
    seed = given.seed or f"{secrets.token_hex(4)}/1"
    base, _, first = seed.partition("/")
    number = int(first or 1)
    folder = Path(tempfile.mkdtemp(prefix="holdfast-soak-"))
    began = time.monotonic()
    with Nursery(folder / "lives") as nursery:
        soak = Soak(folder, nursery)
        while soak.figures.kills < given.kills:
            try:
                soak.batch(f"{base}/{number}")
            except AssertionError as error:
                print(f"\nSEED {base}/{number}: {error}\n{soak.figures}; anomalies: 1")
                print(f"all that is left of it is in {folder}")
                return 1
            number += 1
            print(f"{soak.figures}; anomalies: 0", flush=True)
    shutil.rmtree(folder)
    print(f"{time.monotonic() - began:.0f} seconds, seeds {base}/1 to {base}/{number - 1}")
    print("moments:", ", ".join(f"{each} {n}" for each, n in sorted(soak.figures.places.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
