"""Databases with flows in them, made with the journal itself, for the commands that show them."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from click.testing import CliRunner, Result

from holdfast.cli.main import holdfast
from holdfast_journal.commits.values import Snapshot
from holdfast_journal.interface import Published
from holdfast_journal.ownership.values import NewFlow, TakenFlow
from holdfast_journal.sql import SqlJournal


def url(path: Path) -> str:
    return f"sqlite:///{path}"


LEASE = 3600.0
"""Seconds for which a worker is taken for alive that nobody hears of: longer than any test."""


def open_at(path: Path, clock: Callable[[], float] = time.time) -> SqlJournal:
    return SqlJournal.open_inline(url(path), environ={}, clock=clock, lease=LEASE)


def start(journal: SqlJournal, *names: str, batch: str = "default") -> dict[str, TakenFlow]:
    """Start flows and take them, as an engine would."""
    new = [NewFlow(each, "provision", b"parameters") for each in names]
    journal.start_flows(batch, new)
    return {each.name: each for each in journal.take(batch=batch)}


def move(
    flow: TakenFlow,
    status: str,
    *,
    heard: str = "something",
    said: Sequence[str] = (),
    finished: bool = False,
    shred: bool = False,
    checkpoint: bytes = b"{}",
    **published: str | int | None,
) -> None:
    """Bring a flow into a status, by one entry."""
    shown: Published = published
    flow.journal.attach(lambda: Snapshot(status, checkpoint, shown, finished, shred))
    with flow.journal.process():
        flow.journal.record("message", heard=heard, said=said, event=b"sealed s3cr3t")


def run(path: Path, *args: str, **env: str) -> Result:
    """Run ``holdfast ARGS`` on a database."""
    clean = {"HOLDFAST_KEY": None, "HOLDFAST_KEY_FILE": None, "HOLDFAST_DB": str(path)}
    return CliRunner().invoke(holdfast, args, env={**clean, **env})


def failed(result: Result, *said: str) -> None:
    """Check that a command said one line of its own and nothing else, with status 2."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("holdfast: ")
    assert result.stderr.count("\n") == 1
    for each in said:
        assert each in result.stderr
