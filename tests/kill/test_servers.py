"""A mailbox server that is not there, or dies, costs nobody anything."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve

from tests.harness.aftermath import check_journal, check_statuses, codes_in, statuses
from tests.harness.nursery import Death
from tests.harness.peers import Received, StockReceivers, shown
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.kill.world import World

PROVISION = ("provision", "people.csv", "--codes", "codes.csv")


@pytest.fixture
def alone(tmp_path: Path, world: World) -> Iterator[World]:
    """A world whose mailbox server nobody else needs, and which does not run yet."""
    with closing(MailboxServer(tmp_path)) as server:
        yield evolve(world, folder=tmp_path, server=server, lost_nameplates=0)


def people(home: Path, count: int) -> dict[str, str]:
    """Write a people file; return the secrets by name."""
    secrets = {f"person {number}": f"secret {number}" for number in range(count)}
    rows = "".join(f"{name},{secret}\n" for name, secret in secrets.items())
    (home / "people.csv").write_text(f"name,secret\n{rows}")
    return secrets


def test_no_server_to_reach(alone: World) -> None:
    """Work is accepted and journalled, survives a kill, and is done when a server appears."""
    home = alone.home()
    secrets = people(home, 3)
    first = alone.start(home, *PROVISION)
    until(lambda: "cannot reach" in first.err, first.describe)
    starting = dict.fromkeys(secrets, "starting")
    until(lambda: statuses(home / "journal.db") == starting, first.describe)
    assert first.kill9().status == -9

    second = alone.start(home, *PROVISION)
    until(lambda: "cannot reach" in second.err, second.describe)
    alone.server.start()
    codes = until(lambda: _all_codes(home, secrets), second.describe)
    with StockReceivers(alone.server.url) as peers:
        for name, code in codes.items():
            peers.receive(code, name)
        outcomes = peers.wait_all()
    assert outcomes == {name: Received(True, shown(each)) for name, each in secrets.items()}
    assert second.wait().status == 0, second.describe()
    assert "can be reached again" in second.err
    check_statuses(alone.status(home), dict.fromkeys(secrets, "done"))
    check_journal(home / "journal.db")
    alone.check_nothing_left()


def test_the_server_is_killed(alone: World) -> None:
    """A server that dies again and again in an exchange, and comes back, costs nothing."""
    home = alone.home()
    secrets = people(home, 1)
    alone.server.start()
    # Not between our message and the answer: a stock client that loses its connection there
    # forgets to answer, and nobody can know that it has the secret.
    moments = ("allocate:after:1", "add:after:1", "hear-pake:before:1", "commit-send:after:1")
    moments += ("hear-0:before:1",)
    if not os.environ.get("EVERY_MOMENT"):
        moments = moments[::2]
    victim = alone.start(home, *PROVISION, death=Death(halts=moments))
    peers: StockReceivers | None = None
    for moment in moments:
        if moment.startswith("hear-pake"):
            codes = until(lambda: _all_codes(home, secrets), victim.describe)
            peers = StockReceivers(alone.server.url)
            ((name, code),) = codes.items()
            peers.receive(code, name)
        until(
            lambda: victim.halted_at(moment),  # noqa: B023 - asked in this very turn
            lambda: f"{moment}\n{victim.moments}\n{victim.describe()}",  # noqa: B023
        )
        alone.server.restart()
        victim.go_on()
    assert peers is not None
    with peers:
        outcomes = peers.wait_all()
    assert outcomes == {name: Received(True, shown(each)) for name, each in secrets.items()}
    assert victim.wait().status == 0, victim.describe()
    check_statuses(alone.status(home), dict.fromkeys(secrets, "done"))
    check_journal(home / "journal.db")
    alone.lost_nameplates = victim.lost_nameplates
    alone.check_nothing_left()


def _all_codes(home: Path, names: dict[str, str]) -> dict[str, str] | None:
    codes = codes_in(home / "codes.csv")
    return codes if codes.keys() == names.keys() else None
