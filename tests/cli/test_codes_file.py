"""The codes file: what it keeps, in which order, and what it refuses to overwrite."""

import csv
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.operating.codes_file import CodesFile
from holdfast.operating.refused import Refused


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_codes_come_in_the_order_of_the_people(tmp_path: Path) -> None:
    """Codes that arrive in any order stand in the people file's order."""
    path = tmp_path / "codes.csv"
    codes = CodesFile(path, ["ann", "bob", "eve"])
    codes.update({"eve": "3-a-b"})
    codes.update({"bob": "2-a-b", "ann": "1-a-b"})
    assert path.read_text() == "name,code\nann,1-a-b\nbob,2-a-b\neve,3-a-b\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_earlier_rows_stay(tmp_path: Path) -> None:
    """Codes of earlier runs are kept; a new code takes the place of the same person's old one."""
    path = tmp_path / "codes.csv"
    CodesFile(path, ["zoe", "ann"]).update({"zoe": "1-a-b", "ann": "2-a-b"})
    CodesFile(path, ["bob", "ann"]).update({"ann": "4-a-b", "bob": "3-a-b"})
    assert rows(path)[1:] == [["bob", "3-a-b"], ["ann", "4-a-b"], ["zoe", "1-a-b"]]


def test_without_codes_there_is_a_header(tmp_path: Path) -> None:
    """An update without codes makes the file, so that its readers find one."""
    path = tmp_path / "codes.csv"
    CodesFile(path).update({})
    assert rows(path) == [["name", "code"]]


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    """The same codes again leave the very same file."""
    path = tmp_path / "codes.csv"
    CodesFile(path).update({"ann": "1-a-b"})
    before = path.stat().st_ino
    CodesFile(path).update({"ann": "1-a-b"})
    assert path.stat().st_ino == before


def test_names_of_all_kinds(tmp_path: Path) -> None:
    """Commas, quotation marks and other scripts in names come back as they were."""
    path = tmp_path / "codes.csv"
    names = ['Ann, "the" boss', "山田\u3000太郎", "=1+1", "Zoë"]
    CodesFile(path, names).update(dict.fromkeys(names, "1-a-b"))
    CodesFile(path, names).update({"Zoë": "2-a-b"})
    assert [name for name, _ in rows(path)[1:]] == names


def test_a_spreadsheet_may_have_saved_it(tmp_path: Path) -> None:
    """A byte order mark and Windows line ends do not make it another kind of file."""
    path = tmp_path / "codes.csv"
    path.write_bytes(b"\xef\xbb\xbfname,code\r\nann,1-a-b\r\n")
    CodesFile(path).update({"bob": "2-a-b"})
    assert rows(path)[1:] == [["ann", "1-a-b"], ["bob", "2-a-b"]]


@pytest.mark.parametrize(
    "content",
    [b"name,secret\nann,A\n", b"hello\n", b"name,code\nann\n", b"name,code\nann,1\nann,2\n",
     b"\x89PNG\r\n\x1a\n\0", b'{"name": "ann"}\n', b"name,code,more\n"],
)  # fmt: skip
def test_other_files_are_not_overwritten(tmp_path: Path, content: bytes) -> None:
    """A file that is no codes file, such as the people file itself, stays as it is."""
    path = tmp_path / "codes.csv"
    path.write_bytes(content)
    for attempt in (CodesFile(path).check, lambda: CodesFile(path).update({"a": "1-b"})):
        with pytest.raises(Refused, match=r"codes\.csv, line "):
            attempt()
    assert path.read_bytes() == content


def test_check_before_the_start(tmp_path: Path) -> None:
    """A missing directory, a directory and a device are found out beforehand."""
    for path, problem in [
        (tmp_path / "nowhere/codes.csv", "No such file or directory"),
        (tmp_path, "not a regular file"),
        (Path("/dev/null"), "not a regular file"),
    ]:
        with pytest.raises(Refused, match=problem):
            CodesFile(path).check()
    CodesFile(tmp_path / "codes.csv").check()
    assert not (tmp_path / "codes.csv").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """A directory without the right to write is found out beforehand."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(Refused, match="Permission denied"):
            CodesFile(tmp_path / "codes.csv").check()
    finally:
        tmp_path.chmod(0o700)


def test_pipes_are_refused(tmp_path: Path) -> None:
    """A file that is read and replaced cannot be a pipe; the message says what to do instead."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(Refused, match="not a regular file; without --codes the codes are printed"):
        CodesFile(pipe).check()


def test_the_file_that_is_printed_to(tmp_path: Path) -> None:
    """`--codes /dev/stdout > FILE` would replace the file under what is printed."""
    path = tmp_path / "codes.csv"
    script = "from pathlib import Path; from holdfast.operating.codes_file import CodesFile;"
    script += "CodesFile(Path('/dev/stdout')).check()"
    with path.open("wb") as out:
        ran = subprocess.run(
            [sys.executable, "-c", script], stdout=out, stderr=subprocess.PIPE, check=False
        )
    assert b"what the command prints goes into this file already" in ran.stderr
