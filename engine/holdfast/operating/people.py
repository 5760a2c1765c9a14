"""The people file: who gets a secret, and which; or which file.

Everything in it is checked before anything is started, and no error message holds a secret.
"""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

from attrs import evolve, field, frozen

from holdfast.operating.lines import Place, place_of, text_lines
from holdfast.operating.printable import is_hidden, quoted
from holdfast.operating.refused import Refused, because
from holdfast.operating.rows import Row, read_rows
from holdfast.transfer import LONGEST_TEXT

LONGEST_NAME = 200
"""Characters."""

MOST_WRONG = 1000
"""Rows with something wrong in them, after which `examine` reads no further."""

_LONGEST_DECOMPOSED = 4 * LONGEST_NAME
"""Characters of the longest name before it is composed: a character has at most four parts."""

_JSON_SUFFIXES = (".jsonl", ".ndjson")


@frozen
class FileColumn:
    """The column with the paths of files.

    Args:
        name: what it is called.
        asked: whether it must be there.
    """

    name: str = "file"
    asked: bool = False


@frozen
class Person:
    """One person of the file; `secret` is None if it is to be minted."""

    name: str
    secret: str | None = field(repr=False)
    line: int
    """Where the person's row begins; 0 for a person who was typed."""
    others: Mapping[str, str] = field(factory=dict, repr=False)
    """The texts in the other columns, as they are there."""
    file: str | None = None
    """What they get instead of a secret: the path of a file or folder; absolute, if it was read by
    `read_people`."""


def read_people(
    source: Path | Literal["-"],
    *,
    name_column: str,
    secret_column: str | None,
    files: FileColumn | None = None,
) -> list[Person]:
    """Read and check a whole people file, in its order; `-` is standard input.

    `secret_column` is None if secrets are minted: then none is read. The column of `files` may be
    there, in the place of `secret_column` or beside it; each person has one of the two. A path in
    it is relative to the directory of the people file. The file is CSV with a header,
    or JSON lines if it begins with `{` or is called `*.jsonl` or `*.ndjson`. Names are returned as
    `same_name` has them. Raises `Refused` for the first thing that is wrong, with its line.
    """
    place = place_of("standard input" if isinstance(source, str) else str(source))
    columns = _columns(name_column, secret_column)
    if files is not None and files.name in columns:
        raise Refused(f"column {quoted(files.name)} cannot have the files too")
    directory = Path() if isinstance(source, str) else source.parent
    json_lines = not isinstance(source, str) and source.suffix.lower() in _JSON_SUFFIXES
    people: list[Person] = []
    with _opened(source, place) as stream:
        for found in _people(stream, place, columns, files, json_lines=json_lines):
            if isinstance(found, Refused):
                raise found
            people.append(_found_in(directory, found))
    if not people:
        raise _names_nobody(place)
    return people


def _found_in(directory: Path, person: Person) -> Person:
    """Return a person with the absolute path of their file.

    Links are not followed: what is sent has the name under which it was given.
    """
    if person.file is None:
        return person
    return evolve(person, file=os.path.abspath(directory / person.file))  # noqa: PTH100


def examine(
    stream: BinaryIO, file: str, *, name_column: str, secret_column: str
) -> tuple[list[Person], list[Refused]]:
    """Check a whole people file; return the people in it, and all that is wrong.

    It is as `read_people` has it. After a row that is not one, the rest is not read. Raises
    `Refused` if the columns are the same.

    Args:
        stream: what is in the file.
        file: what it is called.
        name_column: as with `read_people`.
        secret_column: as with `read_people`.
    """
    place = place_of(file)
    columns = _columns(name_column, secret_column)
    people: list[Person] = []
    wrong: list[Refused] = []
    json_lines = file.lower().endswith(_JSON_SUFFIXES)
    try:
        for found in _people(stream, place, columns, None, json_lines=json_lines):
            if isinstance(found, Person):
                people.append(found)
                continue
            wrong.append(found)
            if len(wrong) == MOST_WRONG:
                break
    except Refused as error:
        wrong.append(error)
    if not people and not wrong:
        wrong.append(_names_nobody(place))
    return people, wrong


def _columns(name_column: str, secret_column: str | None) -> list[str]:
    if name_column == secret_column:
        raise Refused(f"name and secret cannot both be in column {quoted(name_column)}")
    return [name_column] if secret_column is None else [name_column, secret_column]


def _names_nobody(place: Place) -> Refused:
    return place.failure_of_whole("this file names no people")


def _people(
    stream: BinaryIO,
    place: Place,
    columns: list[str],
    files: FileColumn | None,
    *,
    json_lines: bool,
) -> Iterator[Person | Refused]:
    """Yield each person, or what is wrong with their row. Raises `Refused` for what is no row."""
    first_lines: dict[str, int] = {}
    instead = None if files is None else files.name
    lines = text_lines(stream, place)
    for row in read_rows(lines, place, columns, json_lines=json_lines, instead=instead):
        try:
            person = _person(row, columns, files, place)
        except Refused as error:
            yield error
            continue
        earlier = first_lines.setdefault(person.name, person.line)
        if earlier == person.line:
            yield person
        else:
            twice = f"the name {quoted(person.name)} is also on line {earlier}"
            yield place.failure(person.line, twice)


def one_person(name: str, secret: str | None) -> Person:
    """Check one person who was typed, as one of a file is. Raises `Refused`."""
    if not name.strip():
        raise Refused("NAME: the name is empty")
    if secret is not None and not secret.strip():
        raise Refused("the secret is empty")
    place = _Typed("NAME")
    checked = _name(name, "name", 0, place)
    return Person(checked, None if secret is None else _secret(secret, "secret", 0, place), 0)


def without(column: str, person: Person) -> Person:
    """Return a person without what is in one of the other columns."""
    return evolve(
        person, others={key: text for key, text in person.others.items() if key != column}
    )


def same_name(text: str) -> str:
    """Return the one spelling of a name: no white space around it, and composed (NFC).

    A name typed on the command line must go through this too, so that it meets the file's.
    """
    return unicodedata.normalize("NFC", text.strip())


@frozen
class _Typed(Place):
    """A command line, which has no lines."""

    def failure(self, line: int, problem: str) -> Refused:  # noqa: ARG002 - a Place's
        """Return the failure `NAME: problem`."""
        return self.failure_of_whole(problem)


@contextlib.contextmanager
def _opened(source: Path | Literal["-"], place: Place) -> Iterator[BinaryIO]:
    if isinstance(source, str):
        if sys.stdin is None:
            raise place.failure_of_whole("it is closed")
        yield sys.stdin.buffer
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise because(place.file, error) from None
    except ValueError:  # a NUL in the path
        raise place.failure_of_whole("this cannot be the name of a file") from None
    with stream:
        yield stream


def _person(row: Row, wanted: list[str], files: FileColumn | None, place: Place) -> Person:
    name = _name(row.values[0], wanted[0], row.line, place)
    secret = None
    file = None if files is None else _file(row, files, place)
    if len(wanted) > 1:
        given = row.values[1]
        if file is None and files is not None and files.name in row.others and _is_blank(given):
            raise place.failure(row.line, "there is neither a secret nor a file")
        if file is None:
            secret = _secret(given, wanted[1], row.line, place)
        elif not _is_blank(given):
            raise place.failure(
                row.line,
                "there is both a secret and a file; --file-column says which column has the files",
            )
    others = {column: value for column, value in row.others.items() if isinstance(value, str)}
    return Person(name, secret, row.line, others, file)


def _name(value: object, column: str, line: int, place: Place) -> str:
    given = _string(value, column, "name", line, place).strip()
    # The time to compose a long row of accents grows with the square of its length.
    name = same_name(given) if len(given) <= _LONGEST_DECOMPOSED else given
    if not name:
        raise place.failure(line, f"no name in column {quoted(column)}")
    if len(name) > LONGEST_NAME:
        raise place.failure(
            line, f"the name has {len(name)} characters; the limit is {LONGEST_NAME}"
        )
    hidden = next((each for each in name if is_hidden(each)), None)
    if hidden is not None:
        raise place.failure(line, f"the name holds a control character, U+{ord(hidden):04X}")
    return name


def _secret(value: object, column: str, line: int, place: Place) -> str:
    from holdfast.transfer.text import LONGEST_ENCODED, encoded_size

    secret = _string(value, column, "secret", line, place)
    if not secret.strip():
        raise place.failure(line, f"no secret in column {quoted(column)}")
    try:
        size = len(secret.encode("utf-8"))
    except UnicodeEncodeError:
        # A JSON escape such as \ud800; the error itself would hold the secret.
        size = -1
    if size < 0 or "\0" in secret:
        raise place.failure(line, "the secret is not text: half a character, or a NUL")
    if size > LONGEST_TEXT:
        raise place.failure(
            line,
            f"the secret has {size:,} bytes; the limit is {LONGEST_TEXT:,}, because some"
            " recipients' clients drop larger messages",
        )
    if (encoded := encoded_size(secret)) > LONGEST_ENCODED:
        raise place.failure(
            line,
            f"the secret takes {encoded:,} bytes in a message (line ends and the like count"
            f" more than once); the limit is {LONGEST_ENCODED:,}, because some recipients'"
            " clients drop larger messages",
        )
    return secret


def _file(row: Row, column: FileColumn, place: Place) -> str | None:
    """Return the path that a row names, as it is there; None if it names none."""
    if column.asked and column.name not in row.others:
        raise place.failure(row.line, f"no column {quoted(column.name)}, which --file-column names")
    given = row.others.get(column.name)
    if _is_blank(given):
        return None
    path = _string(given, column.name, "file", row.line, place)
    if "\0" in path:
        raise place.failure(row.line, "the file's name holds a NUL")
    return path


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _string(value: object, column: str, what: str, line: int, place: Place) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise place.failure(line, f"no {what} in column {quoted(column)}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise place.failure(line, f"the {what} is a number; write it in quotation marks")
    raise place.failure(line, f"the {what} is not a string; write it in quotation marks")
