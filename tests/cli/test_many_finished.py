"""The commands beside very many finished flows: bounded for people, whole for programs."""

import json
from pathlib import Path

import pytest

from holdfast.cli.commands import status
from holdfast.flows.shipped.provision import SendText
from holdfast.operating import one_flow
from holdfast.operating.audit import operator
from holdfast.transfer.text import APPID
from tests.cli.journals import move, open_at, run, start
from tests.journal.many import multiply

MANY = 1200


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Very many that are over, and one that waits."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    move(start(journal, "over")["over"], "done", finished=True, shred=True)
    journal.close()
    multiply(path, MANY)
    journal = open_at(path)
    move(start(journal, "zoe")["zoe"], "waiting", code="7-guitarist-revenge")
    journal.close()
    return path


def test_the_table_is_bounded(database: Path) -> None:
    """What is open is there, what is over is counted, and it says how to see it all."""
    lines = run(database, "status").stdout.splitlines()
    assert sum(" done " in line for line in lines) == status.SHOWN - 1
    assert lines[1].split()[:2] == ["zoe", "waiting"]
    assert f"{MANY + 1} flows: {MANY} done, 1 waiting." in lines
    assert "Of these, 100 are shown; --limit shows more, --json lists all." in lines


def test_the_document_is_whole(database: Path) -> None:
    """Written page by page, it is the same as if it had been written at once."""
    written = run(database, "status", "--json", "--codes").stdout
    found = json.loads(written)
    assert [each["name"] for each in found] == [
        "over",
        *(f"p{number}" for number in range(1, MANY)),
        "zoe",
    ]
    assert written.count("\n") == len(found) + 2
    first = json.loads(run(database, "status", "--json", "--limit", "700").stdout)
    assert [each["name"] for each in first] == [each["name"] for each in found[:700]]
    assert found[-1]["code"] == "7-guitarist-revenge"


def test_a_batch_of_the_open_ones(database: Path) -> None:
    """A batch is counted alone."""
    journal = open_at(database)
    start(journal, "eve", batch="other")
    journal.close()
    lines = run(database, "status", "--batch", "other").stdout.splitlines()
    assert "1 flow: 1 new." in lines
    assert not any("--json" in line for line in lines)


def test_the_same_text_sent_more_often_than_is_looked_up_at_once(tmp_path: Path) -> None:
    """Every flow of the same arguments is found, and the next has a name that was never used."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    count = one_flow.NAMES_AT_ONCE + 5
    start(journal, *(f"0123456789ab-{number}" for number in range(1, count + 1)), batch="send")
    rows = one_flow.rows_of(journal, "send", "0123456789abcdef")
    assert [row.name for row in rows] == [f"0123456789ab-{n}" for n in range(1, count + 1)]
    journal.close()


def test_a_name_is_not_used_again_when_the_first_was_purged(tmp_path: Path) -> None:
    """The number of a new flow is behind that of the last one."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    flows = start(journal, "0123456789ab-1", "0123456789ab-2", batch="send")
    for flow in flows.values():
        move(flow, "cancelled", finished=True, shred=True)
    with journal._database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM holdfast_entries WHERE flow_id = 1")
        connection.exec_driver_sql("DELETE FROM holdfast_flows WHERE id = 1")
    name = one_flow.start_or_resume(
        journal,
        "send",
        SendText(secret="s"),
        "0123456789abcdef",
        operator(),
        one_flow.Route("ws://r", APPID),
    )
    assert name == "0123456789ab-3"
    journal.close()
