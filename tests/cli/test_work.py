"""``holdfast tasks``, ``workers`` and ``batches``: for people, and for programs."""

import csv
import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click import unstyle

from holdfast_journal import INTERRUPTED, SqlJournal
from holdfast_journal.auditing.acts import Act, Actor
from tests.cli.journals import failed, move, open_at, run, start
from tests.harness.process import NO_RELAY, Holdfast
from tests.harness.terminal import Terminal, shown

LONG = "somebody-with-a-very-long-name@example.com"


def filled(path: Path) -> SqlJournal:
    """A worker that is alive, with the flows of two batches; those of one have tasks."""
    journal = open_at(path)
    flows = start(journal, "ann", LONG, "bob")
    tasks = (
        ("ann", "mint", 0, "", 0.0),
        (LONG, "mint", 4, "the command's exit status was 3", time.time() + 3600),
        ("bob", "letter", 1, INTERRUPTED, 0.0),
    )
    for name, task, tries, error, due_at in tasks:
        own = flows[name].journal
        move(flows[name], "exchanging", code="7-s3cr3t-code")
        with own.process():
            own.record("task", heard=f"task {task}: try 1 begins", said=(), event=b"")
            own.add_task(1, task, b"s3cr3t", f"key of {name}", due_at, tries, error)
    move(start(journal, "cleo", batch="march")["cleo"], "done", finished=True, shred=True)
    return journal


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its database, which all tests look at."""
    path = tmp_path_factory.mktemp("work") / "holdfast.db"
    journal = filled(path)
    yield path
    journal.close()


def lines(path: Path, *words: str) -> list[list[str]]:
    result = run(path, *words)
    assert result.exit_code == 0, result.output
    assert "s3cr3t" not in result.output
    return [line.split() for line in result.stdout.splitlines()]


def document(path: Path, *words: str) -> list[dict[str, object]]:
    """What programs get: as JSON, and the same as CSV."""
    found: list[dict[str, object]] = json.loads(run(path, *words, "--json").stdout)
    rows = list(csv.DictReader(run(path, *words, "--csv").stdout.splitlines()))
    assert len(rows) == len(found)
    for row, facts in zip(rows, found, strict=True):
        for key in row.keys() & facts.keys():
            value = facts[key]
            flat = " ".join(value) if isinstance(value, list) else value
            assert row[key] == ("" if flat is None else str(flat))
    return found


def test_tasks(path: Path) -> None:
    """Those tried most often first: how they stand, when they are tried next, and why not yet."""
    header, first, second, third, _, summary = lines(path, "tasks")
    assert header == ["NAME", "TASK", "STATE", "TRIES", "NEXT", "TRY", "LAST", "REASON"]
    assert first[:4] == [LONG, "mint", "failing", "4"]
    assert " ".join(first).endswith("the command's exit status was 3")
    assert second == ["bob", "letter", "running", "1"]
    assert third == ["ann", "mint", "pending", "0", "due"]
    assert " ".join(summary) == "3 tasks: 1 failing, 1 pending, 1 running."


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("--state failing", [LONG]),
        ("--task mint --name a*", ["ann"]),
        ("--task mint --task letter --limit 2", [LONG, "bob"]),
        ("--batch march", []),
        ("--status waiting", []),
    ],
)
def test_some_tasks(path: Path, words: str, names: list[str]) -> None:
    """They are chosen as flows are, and by their own names and states."""
    found = document(path, "tasks", *words.split())
    assert [each["name"] for each in found] == names


def test_tasks_for_programs(path: Path) -> None:
    """Each with its flow and its key; no next try while one is under way."""
    first, second, _ = document(path, "tasks")
    assert (first["state"], first["tries"], first["worker"]) == ("failing", 4, 1)
    assert first["key"] == f"key of {LONG}"
    assert str(first["next_try"]).endswith("Z")
    assert (second["state"], second["next_try"], second["reason"]) == ("running", None, None)


def test_nobody_runs_them(tmp_path: Path) -> None:
    """A try whose worker has ended was interrupted; and there is somebody to be started."""
    path = tmp_path / "holdfast.db"
    filled(path).close()
    assert lines(path, "tasks")[2][:3] == ["bob", "letter", "interrupted"]
    assert "'holdfast run'" in run(path, "tasks").stdout
    _, worker, left = lines(path, "workers")
    assert worker[0] == "1" and worker[3:6] == ["ended", "3", "3"]
    assert " ".join(left).startswith("3 flows are left by workers that have ended")


def test_workers(tmp_path: Path) -> None:
    """What each of them has, what it shares, and what it has to say; all others if asked."""
    path = tmp_path / "holdfast.db"
    other = open_at(path)
    move(start(other, "zoe")["zoe"], "done", finished=True)
    other.close()
    journal = filled(path)
    journal.serve(["provision", "send"])
    journal.tell("has no room")
    [worker] = document(path, "workers")
    assert (worker["id"], worker["alive"], worker["flows"], worker["tasks"]) == (2, True, 3, 3)
    assert (worker["serves"], worker["notice"]) == (["provision", "send"], "has no room")
    assert worker["drain_at"] is None
    assert journal.drain(2, act=Act(Actor("root", "here", "command"), "drain"))
    [left] = document(path, "workers")
    assert str(left["drain_at"]).endswith("Z")
    assert lines(path, "workers")[1][3] == "leaving"
    assert "Worker 2: has no room." in run(path, "workers").stdout.splitlines()
    assert [each["id"] for each in document(path, "workers", "--all")] == [2, 1]
    assert "--limit shows more" in run(path, "workers", "--all", "--limit", "1").stdout
    journal.close()


def test_batches(path: Path) -> None:
    """Counts by status, the last batch first."""
    header, first, second = lines(path, "batches")
    assert header == ["BATCH", "FLOWS", "OF", "THESE", "FIRST", "LAST"]
    assert first[:4] == ["march", "1", "1", "done"]
    assert second[:4] == ["default", "3", "3", "exchanging"]
    march, default = document(path, "batches")
    assert (march["flows"], march["unfinished"], default["unfinished"]) == (1, 0, 3)
    [row] = csv.DictReader(run(path, "batches", "--limit", "1", "--csv").stdout.splitlines())
    assert (row["batch"], row["done"], row["scared"]) == ("march", "1", "0")


def test_where_there_is_nothing(tmp_path: Path) -> None:
    """One line each; and two documents cannot be had at once."""
    path = tmp_path / "holdfast.db"
    open_at(path).close()
    said = {name: run(path, name).stdout for name in ("tasks", "workers", "batches")}
    assert said == {
        "tasks": "No flow waits for a task.\n",
        "workers": "No process runs flows now.\n",
        "batches": "No flows yet.\n",
    }
    assert run(path, "tasks", "--state", "failing").stdout == "No task is like that.\n"
    assert [document(path, name) for name in said] == [[], [], []]
    failed(run(path, "batches", "--json", "--csv"), "--json and --csv are two documents")
    failed(run(path, "tasks", "--batch", "april"), "no batch is called 'april'")


def names_in(lines: Sequence[str]) -> str:
    """What is in the column NAME, or in the lines of that title, one after the other."""
    column = re.search(r"NAME +(?=[A-Z]+ )", lines[0])
    if column is None:
        return "".join(line[6:] for line in lines if line.startswith("NAME  "))
    return "".join(line[column.start() : column.end()].strip() for line in lines[1:])


@pytest.mark.parametrize("words", ["status", "status --codes", "status --batch default", "tasks"])
def test_no_name_is_lost(path: Path, words: str) -> None:
    """However narrow the terminal is, and nothing is wider than it."""
    for columns in (20, 40, 56):
        result = run(path, *words.split(), FORCE_COLOR="1", COLUMNS=str(columns), TERM="xterm")
        table = re.split(r"\n\n[34] ", unstyle(result.stdout))[0].splitlines()
        assert {name for name in ("ann", "bob", LONG) if name not in names_in(table)} == set()
        if "NAME" in table[0] and "STAT" in table[0]:
            assert max(map(len, table)) <= columns
        else:  # each cell has its line, and none is left out
            assert "ATTEMPT  1" in table or "TRIES  4" in table


def test_tasks_on_a_narrow_terminal(path: Path, tmp_path: Path) -> None:
    """A real one: what can be spared is left out, and a name goes over several lines."""
    home = Holdfast(tmp_path / "home", "ws://127.0.0.1:1", str(path), NO_RELAY)
    with Terminal(home, "tasks", columns=40) as seen:
        assert seen.wait() == 0
    lines = shown(unstyle(seen.written), 40)
    assert lines[0].split() == ["NAME", "TASK", "STATE", "LAST", "REASON"]
    assert LONG in names_in(lines)
