"""``holdfast status``: the table, the single flow and the document for programs."""

import csv
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast_journal import SqlJournal
from holdfast_journal.ownership.values import NewFlow
from tests.cli.journals import failed, move, open_at, run, start


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one flow of each kind, and nobody who serves it."""
    path = tmp_path_factory.mktemp("made") / "holdfast.db"
    journal = open_at(path)
    flows = start(journal, "zoe", "ann", "[b]bob[/b]")
    move(flows["zoe"], "waiting", code="7-guitarist-revenge")
    move(flows["ann"], "done", code="8-a-b", finished=True, shred=True)
    move(flows["[b]bob[/b]"], "scared", code="9-a-b", finished=True)
    journal.close()
    return path


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / made.name


def test_the_table(database: Path) -> None:
    """Each flow has its line, the one in trouble first; no code is shown unasked."""
    result = run(database, "status")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATUS", "SINCE", "ATTEMPT"]
    assert lines[1].split()[:2] == ["[b]bob[/b]", "wrong"]
    assert lines[2].split()[:2] == ["zoe", "waiting"]
    assert lines[3].split()[:2] == ["ann", "done"]
    assert lines[5] == "3 flows: 1 done, 1 waiting, 1 wrong code."
    assert "'holdfast run'" in lines[6]
    assert "guitarist" not in result.stdout


def test_the_codes_that_work(database: Path) -> None:
    """Whoever asks is shown those that a recipient can use now, and no others."""
    result = run(database, "status", "--codes")
    assert result.stdout.splitlines()[0].split() == ["NAME", "STATUS", "CODE", "SINCE", "ATTEMPT"]
    assert "7-guitarist-revenge" in result.stdout
    assert "8-a-b" not in result.stdout
    assert "9-a-b" not in result.stdout


CHOICES: Sequence[tuple[str, str]] = [
    ("--status wrong-code", "[b]bob[/b]"),
    ("--status scared --status waiting", "[b]bob[/b] zoe"),
    ("--status unfinished", "zoe"),
    ("--status ended", "[b]bob[/b] ann"),
    ("--status ended-badly", "[b]bob[/b]"),
    ("--kind provision --name *o*", "[b]bob[/b] zoe"),
    ("--batch default --sort name", "[b]bob[/b] ann zoe"),
    ("--sort changed", "[b]bob[/b] ann zoe"),
    ("--sort started --since 1h", "zoe ann [b]bob[/b]"),
    ("--sort started --limit 2", "zoe ann"),
]


@pytest.mark.parametrize(("options", "wanted"), CHOICES)
def test_some_of_them(database: Path, options: str, wanted: str) -> None:
    """The options choose, sort and bound what is shown."""
    said = run(database, "status", *options.split())
    assert said.exit_code == 0, said.output
    table = said.stdout.partition("\n\n")[0].splitlines()
    assert " ".join(line.split()[0] for line in table[1:]) == wanted


def test_how_many_there_are(database: Path) -> None:
    """The summary counts all that were chosen, however few are shown."""
    said = run(database, "status", "--limit", "1").stdout
    assert "3 flows: 1 done, 1 waiting, 1 wrong code." in said
    assert "Of these, 1 are shown; --limit shows more" in said
    assert run(database, "status", "--name", "nobody*").stdout == "No flow is like that.\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--status waitng", "there is no status 'waitng'; there are new, starting"),
        ("--since 5", "give it a unit"),
        ("--limit 0", "--limit"),
        ("--sort size", "--sort"),
        ("--json --csv", "two documents"),
        ("zoe --status waiting", "NAME is one flow"),
        ("--batch none", "no batch is called 'none'"),
    ],
)
def test_options_that_make_no_sense(database: Path, options: str, words: str) -> None:
    """One line says what is wrong with them."""
    failed(run(database, "status", *options.split()), words)


def test_csv(database: Path) -> None:
    """A header and a row for each flow, in the order of the start; codes only if asked for."""
    rows = list(csv.DictReader(run(database, "status", "--csv").stdout.splitlines()))
    keys = json.loads(run(database, "status", "--json").stdout)[0].keys() - {"published"}
    assert [row["name"] for row in rows] == ["zoe", "ann", "[b]bob[/b]"]
    assert set(rows[0]) == keys
    assert {row["code"] for row in rows} == {""}
    some = ("--name", "*o*", "--sort", "name", "--limit", "1")
    rows = list(csv.DictReader(run(database, "status", "--csv", *some).stdout.splitlines()))
    assert [row["name"] for row in rows] == ["[b]bob[/b]"]
    for asked in (["--codes"], ["zoe"]):
        rows = list(csv.DictReader(run(database, "status", "--csv", *asked).stdout.splitlines()))
        assert rows[0]["code"] == "7-guitarist-revenge"


def test_columns_are_aligned(database: Path) -> None:
    """In a pipe every column begins at the same place in every line, and no line is padded."""
    lines = run(database, "status").stdout.splitlines()
    start_of_status = lines[0].index("STATUS")
    for line, status in zip(lines[1:4], ["wrong code", "waiting", "done"], strict=True):
        assert line.index(status) == start_of_status
    assert all(line == line.rstrip() for line in lines)


def test_long_names_are_whole_in_a_pipe(tmp_path: Path) -> None:
    """A pipe has no width: nothing is cut or folded in it."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    start(journal, "n" * 200)
    journal.close()
    assert "n" * 200 in run(path, "status").stdout


def test_a_file_is_shown_as_people_say_it(tmp_path: Path) -> None:
    """Its size, how much of it has moved, and the way; its name commands nothing."""
    journal = open_at(tmp_path / "holdfast.db")
    flows = start(journal, "ann")
    told = {
        "file": "\x1b[2Jx\u202e",
        "size": 3_400_000_000,
        "moved": 999,
        "rate": 1_500_000,
        "left": 75,
    }
    move(flows["ann"], "exchanging", **told, route="->relay:tcp:host:4001")
    journal.close()
    shown = run(tmp_path / "holdfast.db", "status", "ann").stdout
    lines = [line.split(maxsplit=1) for line in shown.splitlines()]
    assert ["file", "\\x1b[2Jx\\u202e"] in lines
    assert ["size", "3.4 GB (3,400,000,000 bytes)"] in lines
    assert ["moved", "999 bytes"] in lines
    assert ["rate", "1.5 MB/s"] in lines
    assert ["left", "1 min 15 s"] in lines
    assert ["route", "through the relay host:4001"] in lines


def test_what_one_command_has_is_continued_by_it(tmp_path: Path) -> None:
    """No 'holdfast run' would continue what waits for one command's terminal."""
    journal = open_at(tmp_path / "holdfast.db")
    journal.start_flows("receive", [NewFlow("abc-1", "receive-here", b"parameters")])
    journal.close()
    assert "'holdfast run'" not in run(tmp_path / "holdfast.db", "status").stdout
    one = run(tmp_path / "holdfast.db", "status", "abc-1").stdout
    assert "the same 'holdfast receive' continues it" in one


def test_a_name_cannot_command_the_terminal(tmp_path: Path) -> None:
    """Control characters in a name, whoever put it there, are shown as escapes."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    start(journal, "ann\x1b[2J")
    journal.close()
    for args in (["status"], ["status", "ann\x1b[2J"], ["log", "ann\x1b[2J"]):
        assert "\x1b" not in run(path, *args).output


def test_one_flow(database: Path) -> None:
    """With a name, everything that is known of that flow."""
    result = run(database, "status", "zoe")
    assert result.exit_code == 0
    facts = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert facts["name"] == "zoe"
    assert facts["status"] == "waiting"
    assert facts["code"] == "7-guitarist-revenge"
    assert facts["batch"] == "default"
    assert "finished" not in facts


def test_a_parked_flow(database: Path) -> None:
    """A flow that waits without a connection says when its turn is, and is nobody's to mend."""
    journal = open_at(database)
    [zoe] = journal.take(names=["zoe"])
    journal.give_back([zoe.id], wake_at=time.time() + 300)
    journal.close()
    assert "parked; its next turn is at 20" in run(database, "status", "zoe").stdout
    assert "No process serves" not in run(database, "status").stdout


def test_flows_that_are_watched(database: Path) -> None:
    """How many hear of their recipients in which way is said, in a line that fits a telephone."""
    journal = open_at(database)
    flows = start(journal, *"abcde")
    for flow in flows.values():
        move(flow, "waiting")
    for name in "abc":
        watch(journal, flows[name].id)
    journal.give_back([flows["d"].id], wake_at=time.time() + 300)
    try:
        shown = run(database, "status").stdout.splitlines()
        assert "3 watched, 1 visited, 2 connected." in shown
        assert "watched: its mailbox server tells" in run(database, "status", "a").stdout
        rows = json.loads(run(database, "status", "--json").stdout)
        assert [row["name"] for row in rows if row["watched"]] == list("abc")
        doctor = run(database, "doctor")
        assert "under way: 3 watched, 1 visited, 2 connected" in doctor.stdout.splitlines()
        report = json.loads(run(database, "doctor", "--json").stdout)
        assert report["under_way"] == {"watched": 3, "visited": 1, "connected": 2}
        assert "No process serves" not in "".join(shown)
        journal.ask("d", None, "cancel")
        journal.take(names=["d"])  # a visit that is ahead would speak for a process
    finally:
        journal.close()
    assert "No process serves" in run(database, "status").stdout


def watch(journal: SqlJournal, flow: int) -> None:
    """Let a server watch for it."""
    watcher = journal.watcher("ws://here/v1", "app").id
    journal.watch(watcher, {flow: (f"mailbox {flow}", "side")})
    journal.park({flow: None}, 1)


def test_a_parked_flow_that_nobody_visits(database: Path) -> None:
    """When its turn has passed there is nobody who serves it, and that is said."""
    journal = open_at(database)
    [zoe] = journal.take(names=["zoe"])
    journal.give_back([zoe.id], wake_at=time.time() - 300)
    journal.close()
    assert "no process; 'holdfast run'" in run(database, "status", "zoe").stdout
    assert "No process serves" in run(database, "status").stdout


def test_a_flow_whose_code_raises(database: Path) -> None:
    """Where it raised is shown, every line of it."""
    journal = open_at(database)
    [zoe] = journal.take(names=["zoe"])
    trouble = "KeyError in code, line 3 of own.py\n  called in started, line 9 of own.py"
    journal.give_back_failed(zoe.id, trouble, 0.0)
    journal.close()
    shown = run(database, "status", "zoe").stdout
    for line in ("its own code raised once:", *trouble.splitlines()):
        assert line in shown


def test_the_document(database: Path) -> None:
    """The keys of the JSON document are those that the help text promises."""
    zoe, ann, bob = json.loads(run(database, "status", "--json").stdout)
    assert (zoe["code"], zoe["published"], bob["published"]) == (None, {}, {})
    zoe, ann, bob = json.loads(run(database, "status", "--json", "--codes").stdout)
    keys = "name batch kind status code published attempt request wake_at watched failures"
    keys += " trouble deaths started_at changed_at finished_at worker uid"
    assert list(zoe) == keys.split()
    assert (zoe["code"], zoe["finished_at"]) == ("7-guitarist-revenge", None)
    assert (ann["code"], ann["published"]) == (None, None)
    assert (bob["code"], bob["published"]) == (None, {"code": "9-a-b"})
    assert bob["finished_at"].endswith("Z")
    text = " ".join(run(database, "status", "--help").stdout.split())
    assert all(key in text for key in zoe)
    assert json.loads(run(database, "status", "ann", "--json").stdout) == [ann]


def test_no_flows(tmp_path: Path) -> None:
    """A database without flows is no error."""
    open_at(tmp_path / "holdfast.db").close()
    assert run(tmp_path / "holdfast.db", "status").stdout == "No flows yet.\n"
    assert json.loads(run(tmp_path / "holdfast.db", "status", "--json").stdout) == []


def test_names_that_are_not_there(database: Path) -> None:
    """A name or batch that does not exist is one line and status 2."""
    failed(run(database, "status", "eve"), "no flow is called 'eve'")
    failed(run(database, "status", "zoe", "--batch", "x"), "no flow", "in the batch 'x'")
    failed(run(database, "status", "--batch", "x"), "no batch is called 'x'")


def test_a_name_in_several_batches(database: Path) -> None:
    """The batch is asked for when the name alone says too little, and shown when there are two."""
    journal = open_at(database)
    start(journal, "zoe", batch="march")
    journal.close()
    for command in ("status", "log", "retry"):
        failed(run(database, command, "zoe"), "'default', 'march'", "--batch")
    assert "march" in run(database, "status", "zoe", "--batch", "march").stdout
    lines = run(database, "status").stdout.splitlines()
    assert lines[0].split()[0] == "BATCH"
    assert [line.split()[:2] for line in lines[1:5]][1:3] == [["march", "zoe"], ["default", "zoe"]]
    assert "BATCH" not in run(database, "status", "--batch", "march").stdout


def test_who_serves_is_seen(tmp_path: Path) -> None:
    """While a worker is alive, nobody is told to start one; what was asked of it is shown."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    start(journal, "zoe")
    try:
        assert "holdfast run" not in run(path, "status").stdout
        assert "process " in run(path, "status", "zoe").stdout
        [flow] = json.loads(run(path, "status", "--json").stdout)
        assert flow["worker"]["alive"] is True
        journal.ask("zoe", "default", "cancel")
        assert "cancelling" in run(path, "status").stdout
    finally:
        journal.close()


def test_names_are_met_in_any_unicode_form(tmp_path: Path) -> None:
    """A name typed in decomposed letters meets the composed one of the file."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    start(journal, "Zoë")
    journal.close()
    assert run(path, "status", "Zoe\u0308").exit_code == 0


def test_what_a_worker_has_to_say(tmp_path: Path) -> None:
    """That it cannot do everything in time stands under the table, while it lives."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    flows = start(journal, "zoe")
    move(flows["zoe"], "waiting", code="7-guitarist-revenge")
    journal.start_flows("default", [NewFlow("ann", "provision", b"parameters")])
    journal.tell("4 connections can visit about 900 flows")
    last = run(path, "status").stdout.splitlines()[-1]
    assert last == f"Worker {journal.worker}: 4 connections can visit about 900 flows."
    assert "waits for room" in run(path, "status", "ann").stdout
    assert "waits for room" not in run(path, "status", "zoe").stdout
    journal.close()
    assert "Worker" not in run(path, "status").stdout
    assert "waits for room" not in run(path, "status", "ann").stdout
