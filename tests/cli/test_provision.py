"""``holdfast provision``: a batch from its first start to its end, and all that it refuses."""

import csv
import json
import os
import pty
import signal
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from holdfast.cli.pictures import picture_of
from holdfast.operating.collecting import transfer_uri
from holdfast_journal.store.upgrading import VERSION_TABLE
from tests.cli.conftest import mistyped
from tests.cli.journals import failed, open_at, run
from tests.harness import forks
from tests.harness.peers import StockReceivers
from tests.harness.process import BIN, Child, Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import DEADLINE, until


def people(path: Path, *rows: tuple[str, str]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("name", "secret"), *rows])
    return path


def statuses(home: Holdfast, **options: str) -> dict[str, str]:
    journal = open_at(Path(str(home.db)))
    try:
        return {row.name: row.status for row in journal.overview(**options)}
    finally:
        journal.close()


def status(home: Holdfast) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(home.run("status", "--json").out)
    return found


def codes_in(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        return dict(list(csv.reader(stream))[1:])


def test_a_batch_from_beginning_to_end(
    home: Holdfast, stock: StockReceivers, tmp_path: Path
) -> None:
    """Everybody collects once; the same command again starts nobody, and a new person alone."""
    source = people(tmp_path / "people.csv", ("ann", "A-1"), ("Zoë", "ünï, 😀"))
    codes = tmp_path / "codes.csv"
    letters = tmp_path / "letters"
    command = ("provision", source, "--codes", codes, "--letters", letters)
    with home.start(*command) as child:
        child.wait_for("^2 people: 2 started\\.$", stream="err")
        child.wait_for(
            f"^Each of them collects with: wormhole --relay-url {home.relay} receive CODE$",
            stream="err",
        )
        child.wait_for("^All codes are there\\. You may stop this command", stream="err")
        child.wait_for(f"^Delete {source} now: ", stream="err")
        until(lambda: len(codes_in(codes)) == 2, "both codes")
        given = codes_in(codes)
        until(lambda: len(list(letters.glob("*.txt"))) == 2, "both letters")
        typed = f"wormhole --relay-url {home.relay} receive {given['Zoë']}\n"
        assert typed in (letters / "Zoë.txt").read_text()
        assert list(given) == ["ann", "Zoë"]
        assert stat.S_IMODE(codes.stat().st_mode) == 0o600
        for name, code in given.items():
            stock.receive(code, name + code)
        done = child.wait()
    assert done.status == 0, done
    assert done.out == ""
    assert stock.wait("ann" + given["ann"]).text == "A-1"
    assert stock.wait("Zoë" + given["Zoë"]).text == "ünï, 😀"
    assert done.err.count("2 done") == 1
    left = f"The letters of 2 flows that are over are left in {letters}.\n"
    assert done.err.endswith(f"{left}2 flows: 2 done.\n")
    assert "A-1" not in done.err
    # Again: nobody is started.
    again = home.run(*command)
    assert again.status == 0
    assert again.err == f"2 people: 2 started before.\n{left}2 flows: 2 done.\n"
    # One more person: only that one is started.
    people(source, ("ann", "A-1"), ("Zoë", "ünï, 😀"), ("bob", "B-2"))
    with home.start(*command) as child:
        child.wait_for("^3 people: 1 started, 2 started before\\.$", stream="err")
        until(lambda: "bob" in codes_in(codes), "the third code")
        code = codes_in(codes)["bob"]
        assert codes_in(codes) == {**given, "bob": code}
        assert stock.wait(stock.receive(code)).text == "B-2"
        assert child.wait().status == 0
    # Another secret for the same name: refused, whoever else is new.
    people(source, ("ann", "A-other"), ("new", "N"))
    refused = home.run(*command)
    assert refused.status == 2
    assert refused.err.count("\n") == 1
    assert f"{source}:2: 'ann' was started with another secret" in refused.err
    assert "A-other" not in refused.err
    assert "new" not in statuses(home)
    # A new round, under a name of its own.
    with home.start("provision", source, "--batch", "march", "--retain", "1h") as child:
        code = child.wait_for("^ann\t(\\S+)$")[1]
        assert stock.wait(stock.receive(code)).text == "A-other"
        child.wait_for("ann: collected", stream="err")
        child.interrupt()
        assert child.wait().status == 130
    assert statuses(home, batch="march") == {"ann": "done", "new": "waiting"}
    shown = {row["batch"]: row["published"] for row in status(home) if row["name"] == "ann"}
    assert shown["default"] is None
    assert shown["march"]["collected"], "kept for an hour"


def test_stopped_and_taken_over(home: Holdfast, stock: StockReceivers, tmp_path: Path) -> None:
    """A signal ends it cleanly and says how to go on; the next start has the flows at once."""
    source = people(tmp_path / "people.csv", ("ann", "A-1"))
    codes = set()
    for stop in (Child.interrupt, Child.terminate):
        with home.start("provision", source) as child:
            code = child.wait_for("^ann\t(\\S+)$")[1]
            stop(child)
            ended = child.wait()
        codes.add(code)
        assert ended.status == 130
        assert "nothing is lost" in ended.err
        assert "start the same command again" in ended.err
        assert "error" not in ended.err
        assert statuses(home) == {"ann": "waiting"}
    assert len(codes) == 1
    # Somebody collects while nobody is there to hand it over.
    stock.receive(code)
    with home.start("provision", source) as child:
        assert child.wait_for("^ann\t(\\S+)$")[1] == code
        assert stock.wait(code).text == "A-1"
        assert child.wait().status == 0


def test_one_codes_file_for_two_batches(home: Holdfast, tmp_path: Path) -> None:
    """A code that still waits is not written over by one of the same name in another batch."""
    source = people(tmp_path / "people.csv", ("ann", "A-1"), ("bob", "B-2"))
    codes = tmp_path / "codes.csv"
    command = ("provision", source, "--codes", codes)
    with home.start(*command) as child:
        until(lambda: len(codes_in(codes)) == 2, "both codes")
        child.interrupt()
        child.wait()
    given = codes_in(codes)
    second = home.run(*command, "--batch", "march")
    assert second.status == 2
    assert second.err.count("\n") == 1
    assert f"{codes}: it holds the code of 'ann' in the batch 'default'" in second.err
    assert codes_in(codes) == given
    assert set(statuses(home)) == {"ann", "bob"}
    # Other people may share the file, and so may the same batch.
    people(source, ("eve", "E-3"))
    with home.start(*command, "--batch", "march") as child:
        until(lambda: len(codes_in(codes)) == 3, "the third code")
    assert given.items() <= codes_in(codes).items()
    people(source, ("ann", "A-1"), ("bob", "B-2"))
    assert home.run(*command, "--for", "1s").status == 1


def test_its_time_is_over(home: Holdfast, tmp_path: Path) -> None:
    """After --for it ends with status 1, and says that not everybody has collected."""
    source = people(tmp_path / "people.csv", ("ann", "A-1"))
    ended = home.run("provision", source, "--qr", "--for", "1s")
    assert ended.status == 1
    assert "▀" not in ended.out, "no pictures in a pipe"
    assert "the time is over, and 1 have not collected" in ended.err


MINT = """
import os, sys
key = os.environ["HOLDFAST_IDEMPOTENCY_KEY"]
with open(sys.argv[1], "a") as calls:
    calls.write(f"{sys.argv[2]} {key}\\n")
if open(sys.argv[1]).read().count(sys.argv[2] + " ") < 2:
    sys.exit("not yet")
print(f"minted for {sys.argv[2]}")
"""


def test_minted_secrets_for_json_lines_on_standard_input(
    home: Holdfast, stock: StockReceivers, tmp_path: Path
) -> None:
    """The command runs when its recipient is there, is tried again under one key, and no sooner."""
    source, program, calls = tmp_path / "in", tmp_path / "mint.py", tmp_path / "calls"
    source.write_text('{"name": "ann smith"}\n{"name": "bob"}\n')
    program.write_text(MINT)
    calls.touch()
    mint = f"'{sys.executable}' '{program}' '{calls}' '{{name}}'"
    words = [BIN / "holdfast", "provision", "-", "--mint", mint]
    with source.open("rb") as people, Child(words, env=home.env(), stdin=people.fileno()) as child:
        ann = child.wait_for("^ann smith\t(\\S+)$")[1]
        bob = child.wait_for("^bob\t(\\S+)$")[1]
        assert calls.read_text() == ""
        assert stock.wait(mistyped(stock, bob)).error == "WrongPasswordError"
        child.wait_for("^bob: wrong code", stream="err")
        assert stock.wait(stock.receive(ann)).text == "minted for ann smith"
        ended = child.wait()
    assert ended.status == 1
    assert "Not collected: bob. 'holdfast retry NAME' gives a new code." in ended.err
    lines = calls.read_text().splitlines()
    assert len(lines) == 2
    assert len(set(lines)) == 1
    assert lines[0].startswith("ann smith ")


def on_terminal(home: Holdfast, *words: str | Path, until_seen: str | None = None) -> str:
    """Run a command on a terminal of its own; return all that it wrote.

    Ctrl-C comes as soon as this has been seen.
    """
    ours, theirs = pty.openpty()
    process = forks.start(
        [BIN / "holdfast", *words],
        env=home.env(TERM="xterm", COLUMNS="80"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        said += chunk
        if until_seen is not None and until_seen in said.decode(errors="ignore"):
            until_seen = None
            process.send_signal(signal.SIGINT)
    process.wait(DEADLINE)
    os.close(ours)
    return said.decode()


def test_pictures_only_when_asked(home: Holdfast, tmp_path: Path) -> None:
    """A code is drawn on a terminal when asked for, and the progress line is there.

    The picture names the server that the flow was started with, whatever the command says now.
    """
    source = people(tmp_path / "people.csv", ("ann", "A-1"))
    plain = on_terminal(home, "provision", source, until_seen="1 flow: 1 waiting")
    assert "ann\t" in plain
    assert "▀" not in plain
    code = plain.partition("ann\t")[2].split()[0]
    again = ("provision", source, "--qr", "--relay", "ws://127.0.0.1:1/v1")
    drawn = on_terminal(home, *again, until_seen="1 flow: 1 waiting")
    assert picture_of(transfer_uri(code, str(home.relay))) in drawn.replace("\r\n", "\n")
    assert "nothing is lost" in drawn


def refused(tmp_path: Path, *args: str | Path) -> Result:
    """Run it on a database that must not come into being."""
    result = run(tmp_path / "none.db", "provision", *map(str, args))
    assert not (tmp_path / "none.db").exists()
    return result


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,token\nann,A\n", ", line 1: no column 'secret'"),
        (b"person,secret\nann,A\n", ", line 1: no column 'name'"),
        (b"name,secret\nann,A\nbob,\n", ", line 3: no secret"),
        (b"name,secret\nann,A\nbob,  \n", ", line 3: no secret"),
        (b"name,secret\n,A\n", ", line 2: no name"),
        (b"name,secret\nann,A\nbob,B\nann,C\n", ", line 4: the name 'ann' is also on line 2"),
        (b"name,secret\nann,\xff\n", ", line 2: byte 5 is not UTF-8"),
        (b"name,secret\nann\n", ", line 2: 1 value where the header has 2"),
        (b'{"name": "ann"}\n', ", line 1: no key 'secret'"),
        (b'{"name": "ann", "secret": "A"}\n{"name"\n', ", line 2: malformed JSON"),
        (b"", "the file is empty"),
        (b"name,secret\n", "this file names no people"),
    ],
)
def test_bad_people(tmp_path: Path, content: bytes, said: str) -> None:
    """What is wrong with the file is one line with its name and line; nothing is started."""
    source = tmp_path / "people.csv"
    source.write_bytes(content)
    failed(refused(tmp_path, source), "people.csv", said)


def test_a_line_of_100_megabytes(tmp_path: Path) -> None:
    """A line without end is refused before it is read whole."""
    source = tmp_path / "people.csv"
    source.write_bytes(b"name,secret\nann,")
    os.truncate(source, 100_000_000)
    failed(refused(tmp_path, source), "people.csv, line 2: longer than 1 MiB")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--relay", "http://host"], "--relay: 'http://host' is not a mailbox server's URL"),
        (["--relay", "ws://"], "--relay: "),
        (["--db", "nonsense://x"], "not served"),
        (["--mint", "'"], "--mint: no closing quotation"),
        (["--mint", ""], "--mint: there is no command"),
        (["--mint", "no-such-program-anywhere {name}"], "'no-such-program-anywhere'"),
        (["--for", "8"], "give it a unit"),
        (["--for", "soon"], "not a duration"),
        (["--name-column", "x"], "no column 'x'"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_options(tmp_path: Path, options: list[str], said: str) -> None:
    """A malformed option is one line, and nothing is started."""
    source = people(tmp_path / "people.csv", ("ann", "A-1"))
    failed(refused(tmp_path, source, *options), said)


def test_names_that_look_like_options(tmp_path: Path) -> None:
    """A name that the minting command would take for an option is refused."""
    source = people(tmp_path / "people.csv", ("ann", "A"), ("--rm", "B"))
    failed(refused(tmp_path, source, "--mint", "echo {name}"), "people.csv:3: the name '--rm'")


def test_bad_places(tmp_path: Path) -> None:
    """A missing people file and a codes file that is something else are found out before."""
    failed(refused(tmp_path, tmp_path / "none.csv"), "none.csv: No such file")
    source = people(tmp_path / "people.csv", ("ann", "A-1"))
    before = source.read_bytes()
    failed(refused(tmp_path, source, "--codes", source), "people.csv, line 1", "not overwritten")
    failed(refused(tmp_path, source, "--codes", tmp_path / "none/codes.csv"), "codes.csv")
    assert source.read_bytes() == before


def test_bad_databases(tmp_path: Path) -> None:
    """A database of a newer release, and one that cannot be made, are one line each."""
    source = people(tmp_path / "people.csv", ("ann", "A-1"))
    newer = tmp_path / "newer.db"
    open_at(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.close()
    failed(run(newer, "provision", str(source)), "newer Holdfast")
    failed(run(tmp_path / "none/x.db", "provision", str(source)), "none")
    failed(run(tmp_path, "provision", str(source)), "is a directory")
    other = tmp_path / "other.db"
    other.write_bytes(b"this is no database at all" * 100)
    failed(run(other, "provision", str(source)), "not a database")


def test_no_server_at_first(home: Holdfast, tmp_path: Path) -> None:
    """With no server to reach the batch is started all the same, and goes on when there is one."""
    source = people(tmp_path / "people.csv", ("ann", "A-1"))
    with MailboxServer(tmp_path) as server:
        server.kill9()
        home.relay = server.url
        with home.start("provision", source) as child:
            child.wait_for("^holdfast: cannot reach ws://", stream="err")
            until(lambda: statuses(home) == {"ann": "starting"}, "its first entry")
            server.start()
            child.wait_for("can be reached again", stream="err")
            child.wait_for("^ann\t(\\S+)$")
            assert statuses(home) == {"ann": "waiting"}
