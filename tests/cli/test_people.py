"""The people file: what is read, and the one line that says what is wrong with it."""

import csv
import io
import json
import os
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.operating.people import Person, read_people, same_name
from holdfast.operating.printable import is_hidden
from holdfast.operating.refused import Refused

SECRET = "s3cr3t-of-ann"


def read(
    folder: Path,
    content: bytes,
    *,
    file: str = "people.csv",
    name: str = "name",
    secret: str | None = "secret",
) -> list[Person]:
    path = folder / file
    path.write_bytes(content)
    return read_people(path, name_column=name, secret_column=secret)


def pairs(people: list[Person]) -> list[tuple[str, str | None, int]]:
    return [(each.name, each.secret, each.line) for each in people]


GOOD = {
    "plain": (b"name,secret\nann,A\nbob,B\n", [("ann", "A", 2), ("bob", "B", 3)]),
    "no last line end": (b"name,secret\nann,A", [("ann", "A", 2)]),
    "windows": (b"\xef\xbb\xbfname,secret\r\nann,A\r\n", [("ann", "A", 2)]),
    "columns in another order": (b"x,secret,name\n1,A,ann\n", [("ann", "A", 2)]),
    "spaces round the header": (b" name , secret\nann,A\n", [("ann", "A", 2)]),
    "spaces round a name": (b"name,secret\n ann ,A\n", [("ann", "A", 2)]),
    "spaces round a secret": (b"name,secret\nann, A \n", [("ann", " A ", 2)]),
    "quoted lines": (
        b'name,secret\nann,"A\nB, ""C"""\nbob,B\n',
        [("ann", 'A\nB, "C"', 2), ("bob", "B", 4)],
    ),
    "quotation marks, commas and line ends in quotation marks": (
        b'name,secret\r\n"a, ""n""","A,""\r\n"",""B"\r\n"b",""""\r\n',
        [('a, "n"', 'A,"\r\n","B', 2), ("b", '"', 4)],
    ),
    "blank lines": (b"\n\nname,secret\n\nann,A\n \n", [("ann", "A", 5)]),
    "composed names": ("name,secret\nZoe\u0308,A\n".encode(), [("Zoë", "A", 2)]),
    "JSON by content": (
        b'\n{"name": "ann", "secret": "A", "age": 7}\n\n{"name": "bob", "secret": "B"}',
        [("ann", "A", 2), ("bob", "B", 4)],
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_well_formed_files(tmp_path: Path, case: str) -> None:
    """Names, secrets and the lines they began on come back in the file's order."""
    content, expected = GOOD[case]
    assert pairs(read(tmp_path, content)) == expected


BAD = {
    "empty": (b"", "the file is empty"),
    "header alone": (b"name,secret\n", "this file names no people"),
    "missing column": (
        b"name,token\nann,A\n",
        "line 1: no column 'secret' in the header; its columns are 'name', 'token'",
    ),
    "column in capitals": (b"Name,secret\nann,A\n", "its columns are 'Name', 'secret'"),
    "semicolons": (b"name;secret\nann;A\n", "must be separated by commas"),
    "JSON array": (b'[{"name": "ann"}]', "one object a line"),
    "column twice": (b"name,secret,name\nann,A,b\n", "the column 'name' is there 2 times"),
    "empty secret": (b"name,secret\nann,A\nbob,\n", "line 3: no secret in column 'secret'"),
    "blank secret": (b"name,secret\nbob,  \n", "line 2: no secret"),
    "empty name": (b"name,secret\n ,A\n", "line 2: no name in column 'name'"),
    "duplicate": (
        b"name,secret\nann,A\nbob,B\nann,C\n",
        "line 4: the name 'ann' is also on line 2",
    ),
    "duplicate but for its form": (
        "name,secret\nZoë,A\nZoe\u0308,B\n".encode(),
        "line 3: the name 'Zoë' is also on line 2",
    ),
    "latin-1": (b"name,secret\nZo\xeb,A\n", "line 2: byte 3 is not UTF-8"),
    "utf-16": ("name,secret\nann,A\n".encode("utf-16"), "this is UTF-16"),
    "NUL": (b"name,secret\nann,A\0B\n", "line 2: byte 6 is NUL"),
    "long line": (b"name,secret\nann," + b"x" * 2**20, "line 2: longer than 1 MiB"),
    "long value": (b"name,secret,x\nann,A," + b"x" * 2**18, "a value of more than 128 KiB"),
    "endless row": (b'name,secret\n"\n' + b'","\n' * 2**19, "line 2: the row that begins here"),
    "long secret": (
        b"name,secret\nann," + "é".encode() * 7501,
        "the secret has 15,002 bytes; the limit is 15,000, because some recipients' clients",
    ),
    "long message": (
        b'name,secret\nann,"' + b"x\n" * 6000 + b'"\n',
        "line 2: the secret takes 18,002 bytes in a message",
    ),
    "escape in a name": (b"name,secret\na\x1b[2Jnn,A\n", "a control character, U+001B"),
    "reordered name": ("name,secret\nan\u202en,A\n".encode(), "U+202E"),
    "long name": (b"name,secret\n" + b"n" * 201 + b",A\n", "201 characters; the limit is 200"),
    "short row": (b"name,secret\nann\n", "line 2: 1 value where the header has 2"),
    "too many values": (b"name,secret\nann,A,B\n", "line 2: 3 values where the header has 2"),
    "open quotation": (b'name,secret\nann,"A\n', "line 2: the file ends inside a quoted value"),
    "text after quotation": (b'name,secret\nann,"A"B\n', "line 2: text after a closing"),
    "blank before a quotation mark": (
        b'name,secret\n"ada", "x"\n',
        "line 2: a quotation mark inside a value that does not begin with one",
    ),
    "blank before a mark in the header": (b'"name", "secret"\nann,A\n', "line 1: a quotation"),
    "quotation mark inside": (b'name,secret\nann,"A"\nbob,B"B\n', "line 3: a quotation mark"),
    "lonely quotation mark": (b'name,secret\nann, "\n', "line 2: a quotation mark inside"),
    "old Macintosh": (b"name,secret\rann,A\r", "bare carriage return"),
    "no object": (b'{"name": "ann", "secret": "A"}\n7\n', "line 2: not a JSON object"),
    "malformed": (b'{"name": "ann", "secret": "A"\n', "line 1: malformed JSON in column"),
    "pretty-printed": (b'{\n"name": "ann"\n}', "line 1: malformed JSON"),
    "key twice": (b'{"name": "ann", "name": "bob"}', "the key 'name' is there twice"),
    "no key": (b'{"name": "ann"}', "no key 'secret'; the keys are 'name'"),
    "number": (b'{"name": "ann", "secret": 123}', "a number; write it in quotation marks"),
    "huge number": (b'{"name": "a", "secret": %s}' % (b"1" * 9999), "the secret is a number"),
    "list": (b'{"name": ["ann"], "secret": "A"}', "the name is not a string"),
    "true": (b'{"name": true, "secret": "A"}', "the name is not a string"),
    "null": (b'{"name": "ann", "secret": null}', "no secret in column 'secret'"),
    "half a character": (b'{"name": "ann", "secret": "\\ud800"}', "the secret is not text"),
    "half a name": (b'{"name": "\\ud800", "secret": "A"}', "U+D800"),
    "nested": (b'{"name":' + b"[" * 200_000, "nested too deeply"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_one_line(tmp_path: Path, case: str) -> None:
    """Every defect is told with the file and what to look for, and nothing is returned."""
    content, expected = BAD[case]
    with pytest.raises(Refused) as caught:
        read(tmp_path, content)
    assert expected in caught.value.words
    assert caught.value.words.startswith(str(tmp_path / "people.csv"))


LEAKS = [
    b"ann,%s\nbob,B\n",  # no header
    b"name,token\nann,%s\n",
    b"name,secret\nann,%s\nann,%s\n",
    b"name,secret\nann,%s,more\n",
    b'name,secret\nann,"%s\n',
    b'name,secret\nann,"%s"x\n',
    b"name,secret\nann,%s\xff\n",
    b"name,secret\nann,%s\0\n",
    b"name,secret\nann,%s\rbob,B\n",
    b'{"name": "ann", "secret": "%s}',
    b'{"name": "ann", "secret": ["%s"]}',
    b'{"name": "ann", "secret": {"%s": 1}}',
    b'{"name": "ann", "secret": "%s\\ud800"}',
    b'"%s"\n{"name": "ann", "secret": "A"}',
    b"name,secret\nann,%s" + b"x" * 20_000,
]


@pytest.mark.parametrize("template", LEAKS)
def test_no_error_tells_a_secret(tmp_path: Path, template: bytes) -> None:
    """Neither the message nor anything chained to the error holds the secret."""
    with pytest.raises(Refused) as caught:
        read(tmp_path, template.replace(b"%s", SECRET.encode()))
    error: BaseException | None = caught.value
    assert SECRET not in str(error)
    assert error is not None
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_a_person_does_not_show_the_secret() -> None:
    """A secret is not in the repr, from where it would get into a log."""
    assert SECRET not in repr(Person("ann", SECRET, 2))


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".JSONL"])
def test_json_by_suffix(tmp_path: Path, suffix: str) -> None:
    """A file that is called JSON lines is read as such, whatever it begins with."""
    with pytest.raises(Refused, match="not a JSON object"):
        read(tmp_path, b"7\n", file="people" + suffix)


def test_other_columns(tmp_path: Path) -> None:
    """The columns may be called as the operator's file has them."""
    people = read(tmp_path, b"mail,token\nann@x,A\n", name="mail", secret="token")
    assert pairs(people) == [("ann@x", "A", 2)]


def test_names_alone(tmp_path: Path) -> None:
    """With secrets that are minted, no secret is read nor asked for."""
    people = read(tmp_path, b"name,secret\nann,\nbob\x2c\n", secret=None)
    assert pairs(people) == [("ann", None, 2), ("bob", None, 3)]


def test_one_column_for_both(tmp_path: Path) -> None:
    """The same column cannot be a name, which is shown, and a secret, which is not."""
    with pytest.raises(Refused, match="cannot both be in column 'name'"):
        read(tmp_path, b"name\nann\n", secret="name")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads standard input, and an error says so."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"name,secret\nann,A\n,\n")))
    with pytest.raises(Refused, match=r"^standard input, line 3: no name"):
        read_people("-", name_column="name", secret_column="secret")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a directory and a NUL in the path are one line each."""
    for path, problem in [
        (tmp_path / "nobody.csv", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "a\0b", "cannot be the name of a file"),
    ]:
        with pytest.raises(Refused, match=problem):
            read_people(path, name_column="name", secret_column="secret")


def test_an_endless_line_is_not_read_whole() -> None:
    """A line without end is refused after its first MiB, so memory stays bounded."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            while True:
                os.write(writer, b"x" * 65536)
        except OSError:
            os._exit(0)
    os.close(writer)
    try:
        with pytest.raises(Refused, match="longer than 1 MiB"):
            read_people(Path(f"/dev/fd/{reader}"), name_column="name", secret_column=None)
    finally:
        os.close(reader)
        os.waitpid(pid, 0)


names = (
    st.text(max_size=40)
    .filter(lambda text: not any(map(is_hidden, text)))
    .map(same_name)
    .filter(bool)
)
secrets = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).filter(
    lambda text: text.strip()
)
lists = st.lists(st.tuples(names, secrets), min_size=1, unique_by=lambda pair: pair[0])


@settings(deadline=None)
@given(lists)
def test_csv_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """Whatever Python's CSV writer writes is read back as it was."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("name", "secret"), *rows])
    people = read(tmp_path_factory.getbasetemp(), text.getvalue().encode())
    assert [(each.name, each.secret) for each in people] == rows


@settings(deadline=None)
@given(lists, st.booleans())
def test_json_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], escaped: bool
) -> None:
    """Whatever Python's JSON writer writes is read back as it was."""
    objects = [{"secret": secret, "name": name} for name, secret in rows]
    text = "\n".join(json.dumps(each, ensure_ascii=escaped) for each in objects)
    people = read(tmp_path_factory.getbasetemp(), text.encode())
    assert [(each.name, each.secret) for each in people] == rows


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(string.printable + '",\n{}:[]\\').map(str.encode))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """No file at all makes anything but people or a failure."""
    for head in (b"", b"name,secret\n", b'{"name": "ann", "secret": "A"}\n'):
        try:
            assert read(tmp_path_factory.getbasetemp(), head + content)
        except Refused as refused:
            assert refused.words
