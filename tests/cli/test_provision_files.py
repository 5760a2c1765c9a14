"""``holdfast provision`` and ``add`` with files: theirs, once, through kills; and all refusals."""

import csv
import json
import os
import shlex
import stat
from pathlib import Path

import pytest

from tests.cli.journals import failed, run
from tests.cli.test_provision import codes_in, statuses
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.waiting import until


def people(path: Path, *rows: tuple[str, str, str]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("name", "secret", "file"), *rows])
    return path


def test_files_and_secrets(home: Holdfast, stock: StockReceivers, tmp_path: Path) -> None:
    """Through a kill each stock client gets exactly what is theirs, in one batch."""
    (tmp_path / "box").mkdir()
    (tmp_path / "box/a.txt").write_bytes(b"a")
    (tmp_path / "ada.ovpn").write_bytes(ada := os.urandom(300_000))
    rows = [("ada", "", "ada.ovpn"), ("bob", "B-1", ""), ("cy", "", "box"), ("di", "", "ada.ovpn")]
    source, codes = people(tmp_path / "people.csv", *rows), tmp_path / "codes.csv"
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    command = ("provision", source, "--codes", codes)
    with home.start(*command) as child:
        child.wait_for("^Leave the files where they are", stream="err")
        until(lambda: len(codes_in(codes)) == 4, "all codes")
        child.kill9()
    given = codes_in(codes)
    with home.start(*command) as child:
        for name, code in given.items():
            stock.receive(code, name + code, None if name == "bob" else inbox / name)
        done = child.wait()
    assert done.status == 0, done
    ended = stock.wait_all([name + code for name, code in given.items()])
    assert all(ended[name + code].ok for name, code in given.items()), ended
    assert ended["bob" + given["bob"]].text == "B-1"
    assert (inbox / "ada").read_bytes() == (inbox / "di").read_bytes() == ada
    assert [each.name for each in (inbox / "cy").iterdir()] == ["a.txt"]
    assert set(statuses(home).values()) == {"done"}
    assert home.run(*command).status == 0


MAKE = """printf %s "$HOLDFAST_NAME" > "$HOLDFAST_FILE"
stat -c %a "$HOLDFAST_FILE" > "$1/mode"; echo "$HOLDFAST_FILE" >> "$1/begun"
until [ -e "$1/go" ]; do sleep 0.05; done"""


def test_a_file_that_a_command_makes(home: Holdfast, stock: StockReceivers, tmp_path: Path) -> None:
    """Killed in the middle of the command; the next one makes it, and nothing of it is left."""
    source = tmp_path / "people.csv"
    source.write_text("name\nada\n")
    make = shlex.join(["sh", "-c", MAKE, "sh", str(tmp_path)])
    command = ("provision", source, "--mint-file", make, "--file-name", "{name}.ovpn")
    begun, private = tmp_path / "begun", tmp_path / "holdfast.db.private"
    with home.start(*command) as child:
        code = child.wait_for("^ada\t(\\S+)$")[1]
        stock.receive(code, out=tmp_path / "got")
        until(begun.exists, "the command has begun")
        child.kill9()
    first = Path(begun.read_text().strip())
    assert (first.name, first.exists()) == ("ada.ovpn", True)
    assert first.is_relative_to(private)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    (tmp_path / "go").touch()
    with home.start(*command) as child:
        done = child.wait()
    assert done.status == 0, done
    assert stock.wait(code).ok
    assert (tmp_path / "got").read_text() == "ada"
    assert (tmp_path / "mode").read_text() == "600\n"
    assert list(private.iterdir()) == []


REFUSED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "nothing there": ("name,file\nann,fine\nbob,nil\n", (), "people.csv, line 3: There is no "),
    "an empty folder": ("name,file\nann,fine\nbob,void\n", (), "line 3: The folder"),
    "a folder with a pipe": ("name,file\nann,odd\n", (), "line 2: {}/odd/pipe is neither"),
    "a link out of a folder": ("name,file\nann,out\n", (), "line 2: {}/out/link is a link that"),
    "a pipe": ("name,file\nann,odd/pipe\n", (), "line 2: {}/odd/pipe is neither a file nor"),
    "both": ("name,secret,file\nann,A,fine\n", (), "line 2: there is both a secret and a file"),
    "neither": ("name,secret,file\nann,A,\nbob,, \n", (), "line 3: there is neither a secret"),
    "no key": ('{"name": "ann", "file": null}', (), "line 1: there is neither a secret nor a file"),
    "a number": ('{"name": "ann", "file": 7}', (), "line 1: the file is a number"),
    "a NUL": ('{"name": "ann", "file": "a\\u0000"}', (), "line 1: the file's name holds a NUL"),
    "twice": ("name,file,file\nann,fine,fine\n", (), "line 1: the column 'file' is there 2 times"),
    "the column": ("name,file\nann,fine\n", ("--file-column", "path"), "no column 'secret' in the"),
    "the column of names": ("name\nann\n", ("--file-column", "name"), "column 'name' cannot have"),
    "another column": (
        "name,secret\nann,A\n",
        ("--file-column", "path"),
        "line 2: no column 'path', which --file-column names",
    ),
    "a name without a file": (
        "name,secret\nann,A\n",
        ("--file-name", "x"),
        "--file-name: nobody gets a file",
    ),
    "no name": ("name,file\nann,fine\n", ("--file-name", ".."), "line 2: no file can be called"),
    "two commands": (
        "name\nann\n",
        ("--mint", "true", "--mint-file", "true"),
        "give --mint or --mint-file, not both",
    ),
    "a path in a script": (
        "name\nann\n",
        ("--mint-file", "sh -c 'cp x {file}'"),
        "--mint-file: {file} stands in a script that 'sh' runs",
    ),
    "a column and a command": (
        "name,file\nann,fine\n",
        ("--mint-file", "true", "--file-column", "file"),
        "--file-column: no column is read",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path: Path, case: str) -> None:
    """One line says what is wrong, and where; nothing is started, and there is no database."""
    content, words, said = REFUSED[case]
    for folder in ("void", "odd", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / "fine").write_bytes(b"x")
    os.mkfifo(tmp_path / "odd/pipe")
    (tmp_path / "out/link").symlink_to("/etc/passwd")
    source = tmp_path / "people.csv"
    source.write_text(content)
    database = tmp_path / "holdfast.db"
    failed(run(database, "provision", str(source), *words), said.replace("{}", str(tmp_path)))
    assert not database.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
@pytest.mark.parametrize("path", ["file", "folder"])
def test_what_cannot_be_read(tmp_path: Path, path: str) -> None:
    """That is found out before anything starts, too, wherever it is."""
    (tmp_path / "folder").mkdir()
    for each in ("file", "folder/file"):
        (tmp_path / each).write_bytes(b"x")
        (tmp_path / each).chmod(0)
    source = people(tmp_path / "people.csv", ("ann", "", path))
    failed(run(tmp_path / "holdfast.db", "provision", str(source)), "line 2", "Permission denied")


def test_adding_files(home: Holdfast, tmp_path: Path) -> None:
    """Other words for the same name are refused, and a file is another thing than a secret."""
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    database = tmp_path / "holdfast.db"
    add = ("add", "ada", "--file", str(tmp_path / "a"))
    assert run(database, *add).exit_code == 0
    assert "1 added before" in run(database, *add).stderr
    failed(run(database, "add", "ada", "--file", str(tmp_path / "b")), "another secret or file")
    failed(run(database, *add, "--mint", "true"), "give --mint or --file, not both")
    failed(run(database, "add", "bob", "--file", str(tmp_path / "c")), "There is no")
    source = people(tmp_path / "people.csv", ("ada", "", "a"), ("bob", "", "b"))
    failed(run(database, "add", str(source), "--file", "x"), "--file: this is for one NAME")
    assert "1 added, 1 added before" in run(database, "add", str(source)).stderr
    shown = json.loads(run(database, "status", "--json").stdout)
    assert {row["name"]: row["kind"] for row in shown} == {
        "ada": "provision-file",
        "bob": "provision-file",
    }
