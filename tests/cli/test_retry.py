"""``holdfast retry``: who gets a new code, and who must not without being asked about."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.journals import failed, move, open_at, run, start


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with flows that ended in different ways."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    flows = start(journal, "scared", "maybe", "done", "waiting", "shredded")
    move(flows["scared"], "scared", code="7-a-b", sent=None, finished=True)
    move(flows["maybe"], "failed", code="7-a-b", sent=1, finished=True)
    move(flows["done"], "done", finished=True, shred=True)
    move(flows["waiting"], "waiting", code="8-a-b")
    move(flows["shredded"], "failed", finished=True, shred=True)
    journal.close()
    return path


def flow(database: Path, name: str) -> dict[str, Any]:
    [found] = json.loads(run(database, "status", name, "--json").stdout)
    assert isinstance(found, dict)
    return found


def test_a_scared_flow_begins_again(database: Path) -> None:
    """The flow is new again, its old code is gone, and the text says how it goes on."""
    result = run(database, "retry", "scared")
    assert result.exit_code == 0, result.output
    assert "attempt 2" in result.stdout
    assert "'holdfast run'" in result.stdout
    now = flow(database, "scared")
    assert (now["status"], now["attempt"], now["finished_at"], now["code"]) == (
        "new",
        2,
        None,
        None,
    )
    assert (
        "retried: attempt 2, after it had ended: wrong code"
        in run(database, "log", "scared").stdout
    )


def test_a_running_process_goes_on_with_it(database: Path) -> None:
    """While a worker is alive the text names it instead of asking for another."""
    journal = open_at(database)
    try:
        assert [each.name for each in journal.take()] == ["waiting"]
        result = run(database, "retry", "scared")
        assert f"Process {os.getpid()} is running" in result.stdout
        assert "Go on with" not in result.stdout
    finally:
        journal.close()


def test_who_may_have_the_secret_is_asked_about(database: Path) -> None:
    """A secret that was sent without a receipt is not sent again unless forced."""
    failed(run(database, "retry", "maybe"), "may have the secret already", "--force")
    assert flow(database, "maybe")["attempt"] == 1
    assert run(database, "retry", "maybe", "--force").exit_code == 0
    assert flow(database, "maybe")["attempt"] == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [("done", "went well"), ("waiting", "still running"), ("shredded", "shredded")],
)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_flows_that_cannot_begin_again(
    database: Path, name: str, said: str, force: list[str]
) -> None:
    """What went well, is under way or has no parameters left is refused, forced or not."""
    failed(run(database, "retry", name, *force), name, said)
