"""`make soak KILLS=1000`: batches of people, while their process and their server are killed.

Batch by batch the weather changes (`tests.harness.weather`): nothing else, a PostgreSQL server that
is killed, a full disk, workers that stand still, system calls that fail, and output that cannot be
written; what this machine cannot do is left out, and said. Each batch has a seed of its own, which
`--seed SEED --kills 1` replays, as far as processes can be replayed.  What a stock client cannot
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
from tests.harness.climate import KINDS, Climate, climate
from tests.harness.nursery import Death, Nursery, Victim
from tests.harness.peers import Received, StockReceivers, shown
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.harness.weather import Weather

PEOPLE = 20
GIVE_UP = 15.0
"""Seconds of nothing but flows that wait for an answer, after which their batch is over."""


@define
class Figures:
    """What a soak counts."""

    kills: int = 0
    server_kills: int = 0
    batches: int = 0
    watched: int = 0
    exchanges: int = 0
    deliveries: int = 0
    tried_again: int = 0
    answers_lost: int = 0
    nameplates_lost: int = 0
    places: dict[str, int] = field(factory=dict)
    events: dict[str, int] = field(factory=dict)
    weathers: dict[str, int] = field(factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.batches} batches ({self.watched} of them watched),"
            f" {self.kills} kills of the process at"
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
    climate: Climate
    figures: Figures = field(factory=Figures)

    def batch(self, seed: str, kind: str) -> None:
        """Run one batch.  Raises AssertionError for anything that must not be."""
        folder = self.folder / seed.replace("/", "-")
        folder.mkdir()
        rng = random.Random(seed)
        with self.climate.weather(kind, rng, folder) as weather:
            self._batch(seed, weather)
        self.figures.weathers[kind] = self.figures.weathers.get(kind, 0) + 1
        for event, count in weather.events.items():
            self.figures.events[event] = self.figures.events.get(event, 0) + count

    def _batch(self, seed: str, weather: Weather) -> None:
        home = weather.home
        wanted = {f"person {number}": f"secret {number} of {seed}" for number in range(PEOPLE)}
        rows = "".join(f"{name},{secret}\n" for name, secret in wanted.items())
        (home / "people.csv").write_text(f"name,secret\n{rows}")
        # A server of one's own tells when a recipient has come; a stock one has to be visited.
        keep = weather.rng.choice([None, "1h"])
        with (
            MailboxServer(weather.folder, keep=keep) as server,
            StockReceivers(server.url) as peers,
        ):
            self.figures.watched += keep is not None
            self._run(weather, wanted, server, Recipients(peers, self.figures))

    def _run(
        self,
        weather: Weather,
        wanted: dict[str, str],
        server: MailboxServer,
        recipients: Recipients,
    ) -> None:
        home, rng = weather.home, weather.rng
        server_kills = self.figures.server_kills
        lives: list[Victim] = []
        everybody: list[Victim] = []
        place = {"HOLDFAST_RELAY": server.url, "HOLDFAST_DB": weather.url, **weather.environ}
        odds = rng.choice([0.0, 0.005, 0.02])

        def run(*words: str, death: Death | None = None) -> Victim:
            death = evolve(death or Death(), record=True)
            everybody.append(self.nursery.start(*words, home=home, death=death, **place))
            return everybody[-1]

        def start(death: Death) -> Victim:
            lives.append(run("provision", "people.csv", "--codes", "codes.csv", death=death))
            weather.born(lives[-1], run)
            return lives[-1]

        waiting_since = 0.0

        def between() -> None:
            nonlocal waiting_since
            if len(batch.deaths) < weather.kills:
                if rng.random() < odds:
                    server.restart()
                    self.figures.server_kills += 1
                weather.act()
                return
            if weather.clear() and len(recipients.ended) == PEOPLE:
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
            kills=weather.kills,
            steps=300,
            between=between,
            stopped=lambda: waiting_since > 0,
            forgiven=weather.forgives,
        )
        batch.run()
        until(weather.clear, "good weather")
        self.figures.batches += 1
        self.figures.exchanges += PEOPLE
        self.figures.kills += len(batch.deaths)
        for death in batch.deaths:
            moment = death.rpartition(":")[0] or death
            self.figures.places[moment] = self.figures.places.get(moment, 0) + 1
        may_lose = self.figures.server_kills > server_kills
        self._check(home, wanted, server, recipients, place, everybody, may_lose=may_lose)
        assert codes_in(home / "codes.csv") == batch.given

    def _check(
        self,
        home: Path,
        wanted: dict[str, str],
        server: MailboxServer,
        recipients: Recipients,
        place: dict[str, str],
        lives: list[Victim],
        *,
        may_lose: bool,
    ) -> None:
        until(lambda: len(recipients.ended) == PEOPLE, "the end of all recipients")
        for name, secret in wanted.items():
            outcome = recipients.outcome(name)
            assert outcome == Received(True, shown(secret)), f"{name}: {outcome}"
            self.figures.deliveries += 1
        shown_now = json.loads(self._holdfast(home, place, "status", "--json"))
        unanswered = [row["name"] for row in shown_now if row["status"] == "exchanging"]
        # Only a server that dies loses an answer.
        assert may_lose or not unanswered, f"no answer was lost, and {unanswered} have none"
        tables = server.tables()
        answers = {row["side"] for row in tables.messages if row["phase"] == "0"}
        for name in unanswered:
            # Our message is there, and no answer to it.
            assert len(answers) == len(unanswered), f"{name} is exchanging: {tables}"
            self._holdfast(home, place, "cancel", name)
        self.figures.answers_lost += len(unanswered)
        statuses = dict.fromkeys(wanted, "done") | dict.fromkeys(unanswered, "cancelled")
        check_statuses(self._holdfast(home, place, "status", "--json"), statuses)
        check_journal(place["HOLDFAST_DB"], **place)
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
    parser.add_argument("--hours", type=float, help="go on for so long, however many kills")
    parser.add_argument("--seed", default=None, help="begin with this batch")
    parser.add_argument("--weather", default=",".join(KINDS), help="some of %(default)s")
    given = parser.parse_args()
    seed = given.seed or f"{secrets.token_hex(4)}/1"
    base, _, first = seed.partition("/")
    number = int(first or 1)
    kinds: list[str] = given.weather.split(",")
    folder = Path(tempfile.mkdtemp(prefix="holdfast-soak-"))
    began = time.monotonic()
    with climate() as found, Nursery(folder / "lives") as nursery:
        for kind in kinds:
            if kind in found.missing:
                print(f"without {kind}: {found.missing[kind]}", flush=True)
        if not set(kinds) - found.missing.keys():
            return 2
        soak = Soak(folder, nursery, found)

        def enough() -> bool:
            hours: float | None = given.hours
            kills: int = given.kills
            if hours is not None:
                return time.monotonic() - began > hours * 3600
            return soak.figures.kills >= kills

        while not enough():
            kind = kinds[(number - 1) % len(kinds)]
            if kind not in found.missing:
                try:
                    soak.batch(f"{base}/{number}", kind)
                except AssertionError as error:
                    print(f"\nSEED {base}/{number}, {kind}: {error}\n{soak.figures}; anomalies: 1")
                    print(f"all that is left of it is in {folder}")
                    return 1
                print(f"{kind}: {soak.figures}; anomalies: 0", flush=True)
            number += 1
    shutil.rmtree(folder)
    print(f"{time.monotonic() - began:.0f} seconds, seeds {base}/1 to {base}/{number - 1}")
    for what, counted in (
        ("batches", soak.figures.weathers),
        ("events", soak.figures.events),
        ("moments", soak.figures.places),
    ):
        print(f"{what}:", ", ".join(f"{each} {n}" for each, n in sorted(counted.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
