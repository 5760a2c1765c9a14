"""Commands that are killed at a moment and started again, while their recipients wait."""

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import define, evolve, field, frozen

from tests.harness.aftermath import check_journal, statuses
from tests.harness.nursery import PROGRAM, Death, Nursery, Victim
from tests.harness.peers import StockReceivers
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

OUT_OF_TURN = 5
"""Moments of a walk that may not come again."""

AT_ONCE = 4 if os.environ.get("EVERY_MOMENT") else 10
"""Exchanges under way at the same time: more only wait for the processors, and then too long."""


@frozen
class Walked:
    """How one exchange went.  `moments` are those of its first life, `died_at` the last of them."""

    died_at: str | None
    moments: list[str]
    lives: int


@define
class World:
    """A server, a nursery and stock peers, which many exchanges share."""

    folder: Path
    server: MailboxServer
    nursery: Nursery
    peers: StockReceivers
    lost_nameplates: int = 0
    _homes: Iterator[int] = field(factory=lambda: itertools.count(1))

    def home(self) -> Path:
        """Return a new folder for one exchange."""
        home = self.folder / f"home-{next(self._homes)}"
        home.mkdir()
        return home

    def number(self, home: Path) -> int:
        """Return the number of a folder that `home` returned."""
        return int(home.name.removeprefix("home-"))

    def start(
        self,
        home: Path,
        *words: str | Path,
        death: Death | None = None,
        program: Path = PROGRAM,
        **env: str,
    ) -> Victim:
        """Start `holdfast WORDS...` on the database of *home*, or another program there."""
        return self.nursery.start(
            *words,
            home=home,
            death=evolve(death or Death(), record=True),
            program=program,
            HOLDFAST_RELAY=self.server.url,
            HOLDFAST_DB=f"sqlite:///{home / 'journal.db'}",
            **env,
        )

    def live(
        self,
        home: Path,
        words: tuple[str | Path, ...],
        death: Death,
        meanwhile: Callable[[list[Victim]], None],
    ) -> list[Victim]:
        """Start a command, and start it again when it has killed itself; return all its lives.

        *meanwhile* is called with them all the time.
        """
        lives = [self.start(home, *words, death=death)]
        while True:
            meanwhile(lives)
            ended = lives[-1].status(0.02)
            if ended is None:
                continue
            if ended == 0:
                break
            assert ended == -9, lives[-1].describe()
            assert len(lives) == 1, f"it died again\n{lives[-1].describe()}"
            if self.number(home) % 3 == 0:  # it takes its time
                self.check_after_death(home)
            lives.append(self.start(home, *words))
        self.lost_nameplates += sum(life.lost_nameplates for life in lives)
        return lives

    def check_after_death(self, home: Path) -> None:
        """The journal that a life has left in *home* is sound, if it came to making one."""
        if (home / "journal.db.key").exists():
            check_journal(home / "journal.db")

    def check(self, home: Path, **wanted: str) -> None:
        """The flows in *home* have these statuses."""
        assert statuses(home / "journal.db") == wanted

    def check_one(self, home: Path, status: str) -> None:
        """The journal of *home* tells of one flow, with this status."""
        assert [*statuses(home / "journal.db").values()] == [status]

    def status(self, home: Path) -> str:
        """What `holdfast status --json` prints in *home*."""
        told = self.start(home, "status", "--json").wait()
        assert told.status == 0, told
        return told.out

    def check_nothing_left(self) -> None:
        """The server holds nothing but the nameplates that nobody ever heard of."""

        def clean() -> bool:
            # Not by name: a nameplate that is free again is soon somebody else's.  And not
            # exactly: the server may notice a death before it has read the last words.
            left = self.server.tables()
            alone = len(left.nameplates)
            return not left.messages and alone == len(left.mailboxes) <= self.lost_nameplates

        until(clean, lambda: f"{self.lost_nameplates} nameplates alone: {self.server.tables()}")

    def walk(
        self,
        exchange: Callable[["World", Death], Walked],
        moments: Callable[[list[str]], list[str]],
    ) -> None:
        """Let one exchange live undisturbed, then one die at each of its moments.

        *moments* chooses among them. Most of them must come again; what two threads do at the
        same time has no fixed order, so a few may not. How many writes there are depends on how
        the bytes arrive.
        """
        recorded = exchange(self, Death())
        assert recorded.died_at is None
        chosen = moments(recorded.moments)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            walked = list(pool.map(lambda at: exchange(self, Death(at=at)), chosen))
        self.check_nothing_left()
        assert all(each.lives == 1 + (each.died_at is not None) for each in walked)
        died = {each.died_at for each in walked}
        missed = [at for at in chosen if at not in died]
        assert len(missed) <= len(chosen) // 2, missed
        assert sum(not at.startswith("write:") for at in missed) <= OUT_OF_TURN, missed
