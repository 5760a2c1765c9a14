"""Rows from a CSV file with a header, or from JSON lines, each with the line that it began on.

Both readers check the shape of the file, and leave the meaning of the values to their caller.
Error messages never repeat a value: it may be secret.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from attrs import field, frozen

from holdfast.operating.lines import LONGEST_LINE, Place
from holdfast.operating.printable import quoted


@frozen
class Row:
    """The wanted values of one row, in the order of the wanted columns."""

    line: int
    values: Sequence[object] = field(repr=False)
    others: Mapping[str, object] = field(factory=dict, repr=False)
    """What is in the other columns."""


def read_rows(
    lines: Iterator[str],
    place: Place,
    wanted: Sequence[str],
    *,
    json_lines: bool,
    instead: str | None = None,
) -> Iterator[Row]:
    """Yield the rows of a file; JSON lines if told so or if it begins with `{`.

    If the column `instead` is there, the last of `wanted` need not be; its values are None then.

    Raises `Refused` with the number of the line.
    """
    skipped: list[str] = []
    for line in lines:
        skipped.append(line)
        if line.strip():
            break
    everything = chain(skipped, lines)
    if json_lines or (skipped and skipped[-1].lstrip().startswith("{")):
        return _json_rows(everything, place, wanted, instead)
    return _csv_rows(everything, place, wanted, instead)


_QUOTED_VALUE = re.compile(r'(?:^|(?<=,))"(?:[^"]++|"")*+"(?=,|\r?\n?\Z)')
"""A whole value in quotation marks, in a row that the strict parser has accepted."""

_JSON_ARRAY = "JSON must be one object a line, not one array"

_BARE_MARK = (
    "a quotation mark inside a value that does not begin with one; put no blank between a comma"
    ' and a quotation mark, and write a value that holds one as "say ""x"""'
)


class _Counted:
    """The lines of a CSV file on their way to the parser: counted, and bounded for each row."""

    def __init__(self, lines: Iterable[str], place: Place) -> None:
        self._lines = iter(lines)
        self._place = place
        self._size = 0
        self._row: list[str] = []
        self.number = 0
        self.row_began = 1

    @property
    def row(self) -> str:
        """The row's own characters."""
        return "".join(self._row)

    def begin_row(self) -> None:
        self._size = 0
        self._row.clear()
        self.row_began = self.number + 1

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self._row.append(line)
        self._size += len(line)
        if self._size > LONGEST_LINE:
            raise self._place.failure(
                self.row_began,
                "the row that begins here has no end; is a quotation mark missing?",
            )
        return line


def _csv_rows(
    lines: Iterator[str], place: Place, wanted: Sequence[str], instead: str | None
) -> Iterator[Row]:
    records = csv_records(lines, place)
    first, header = next(records, (1, []))
    if not header:
        raise place.failure_of_whole("the file is empty; it needs a header, then a row a person")
    columns = [each.strip() for each in header]
    if instead in columns and wanted[-1] not in columns:
        wanted = wanted[:-1]
        missing: Sequence[None] = [None]
    else:
        missing = []
    if instead is not None and instead in columns:
        _position(instead, columns, wanted, place, first)
    positions = [_position(each, columns, wanted, place, first) for each in wanted]
    for line, record in records:
        if len(record) != len(columns):
            raise place.failure(line, _wrong_count(len(record), len(columns)))
        others = {
            column: value
            for place_in_row, (column, value) in enumerate(zip(columns, record, strict=True))
            if place_in_row not in positions
        }
        yield Row(line, [*(record[each] for each in positions), *missing], others)


def csv_records(lines: Iterator[str], place: Place) -> Iterator[tuple[int, list[str]]]:
    """Yield each record of a CSV file with the line it began on; blank lines are left out.

    Raises `Refused` for what is not CSV, and for a record of more than 1 MiB before all of it is
    read.
    """
    counted = _Counted(lines, place)
    # `strict` refuses what the parser would otherwise repair silently.
    reader = csv.reader(counted, strict=True)
    while True:
        counted.begin_row()
        try:
            record = next(reader, None)
        except csv.Error as error:
            problem = _csv_problem(str(error))
            raise place.failure(counted.row_began, problem) from None
        if record is None:
            return
        row = counted.row
        if '"' in row and '"' in _QUOTED_VALUE.sub("", row):
            # The parser would take it, and a blank before it, as part of the value.
            raise place.failure(counted.row_began, _JSON_ARRAY if row[0] == "[" else _BARE_MARK)
        blank = not record or (len(record) == 1 and not record[0].strip())
        if not blank:
            yield counted.row_began, record


def _csv_problem(said: str) -> str:
    if "new-line" in said:
        return "a bare carriage return; lines must end in LF or CRLF"
    if "limit" in said:
        return "a value of more than 128 KiB; is a quotation mark missing?"
    if "expected after" in said:
        return "text after a closing quotation mark; inside a quoted value, double the marks"
    return "the file ends inside a quoted value; is a quotation mark missing?"


def _wrong_count(found: int, expected: int) -> str:
    if found > expected:
        hint = "a value that contains a comma must be quoted"
    else:
        hint = "a value is missing, or a quotation mark is not closed"
    return f"{_count(found)} where the header has {expected}; {hint}"


def _count(fields: int) -> str:
    return f"{fields} value" if fields == 1 else f"{fields} values"


def _position(
    column: str, columns: Sequence[str], wanted: Sequence[str], place: Place, line: int
) -> int:
    found = columns.count(column)
    if found == 1:
        return columns.index(column)
    if found > 1:
        raise place.failure(line, f"the column {quoted(column)} is there {found} times")
    hint = _which_columns(columns, wanted)
    raise place.failure(line, f"no column {quoted(column)} in the header; {hint}")


def _which_columns(columns: Sequence[str], wanted: Sequence[str]) -> str:
    known = {each.casefold() for each in columns} & {each.casefold() for each in wanted}
    if len(columns) == 1 and any(each in columns[0] for each in ";\t"):
        return "the columns must be separated by commas"
    if columns[0].startswith("["):
        return _JSON_ARRAY
    if known:
        names = ", ".join(quoted(each, 40) for each in columns[:12])
        return f"its columns are {names}" + (" and more" if len(columns) > 12 else "")
    # A file without a header has a person's secret in this line: it is not repeated.
    return (
        f"the line has {_count(len(columns))}, none of them a column asked for;"
        " is this a header? --name-column and --secret-column say what the columns are called"
    )


def _json_rows(
    lines: Iterable[str], place: Place, wanted: Sequence[str], instead: str | None
) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        members = _members(line, number, place)
        for key in wanted:
            if key not in members and not (key == wanted[-1] and instead in members):
                there = ", ".join(quoted(each, 40) for each in list(members)[:12]) or "none"
                raise place.failure(number, f"no key {quoted(key)}; the keys are {there}")
        others = {key: value for key, value in members.items() if key not in wanted}
        yield Row(number, [members.get(key) for key in wanted], others)


class _TwiceError(Exception):
    """An object has the same key twice; the key is the argument."""


def _members(line: str, number: int, place: Place) -> dict[str, object]:
    try:
        # An integer may have more digits than Python converts; integers are not needed here.
        value = json.loads(line, object_pairs_hook=_no_twins, parse_int=float)
    except _TwiceError as twice:
        problem = f"the key {quoted(str(twice), 40)} is there twice"
    except RecursionError:
        problem = "nested too deeply"
    except json.JSONDecodeError as error:
        problem = f"malformed JSON in column {error.colno}; each line must be one whole object"
    except ValueError:
        problem = "malformed JSON; each line must be one whole object"
    else:
        if isinstance(value, dict):
            return value
        problem = "not a JSON object; each line must be one, such as {…}"
    # Raised outside the handlers: a JSON error holds the line.
    raise place.failure(number, problem)


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for key, value in pairs:
        if key in members:
            raise _TwiceError(key)
        members[key] = value
    return members
