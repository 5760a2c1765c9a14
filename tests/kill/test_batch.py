"""Six people collect while the process that serves them is killed again and again."""

import os
import random
import secrets
from pathlib import Path

from tests.harness.aftermath import check_journal, check_statuses, codes_in
from tests.harness.batch import Batch
from tests.harness.nursery import Death, Victim
from tests.harness.peers import Received, shown
from tests.kill.world import World

PEOPLE = 6
KILLS = 4


def test_killed_at_random_moments(world: World) -> None:
    """Each gets exactly their secret; SEED in the environment replays the moments."""
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    print(f"SEED={seed}")
    home = world.home()
    wanted = {f"person {seed} {number}": f"secret {number} of {seed}" for number in range(PEOPLE)}
    rows = "".join(f"{name},{secret}\n" for name, secret in wanted.items())
    (home / "people.csv").write_text(f"name,secret\n{rows}")

    lives: list[Victim] = []

    def start(death: Death) -> Victim:
        words = ("provision", "people.csv", "--codes", "codes.csv")
        if len(lives) % 4 == 3:
            world.check_after_death(home)
        lives.append(world.start(home, *words, death=death))
        return lives[-1]

    batch = Batch(
        names=list(wanted),
        codes_file=Path(home / "codes.csv"),
        start=start,
        peers=world.peers,
        rng=random.Random(seed),
        kills=KILLS,
        steps=300,
        longest_life=1.5,
    )
    batch.run()
    outcomes = world.peers.wait_all(list(wanted))
    assert {name: outcomes[name] for name in wanted} == {
        name: Received(True, shown(secret)) for name, secret in wanted.items()
    }
    # The last lives may end, all being done, before they come to their moment.
    assert batch.deaths
    check_statuses(world.status(home), dict.fromkeys(wanted, "done"))
    check_journal(home / "journal.db")
    assert codes_in(home / "codes.csv") == batch.given
    world.lost_nameplates += sum(life.lost_nameplates for life in lives)
    world.check_nothing_left()
