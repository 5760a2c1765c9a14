"""The codes file: who has which code, for the operator to hand out.

The database forgets a code when its flow ends; this file keeps it: rows of earlier runs stay.
"""

import contextlib
import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from holdfast.files import NotRegularError, check_whole, clear_leftovers, write_whole
from holdfast.operating.lines import Place, place_of, text_lines
from holdfast.operating.refused import because
from holdfast.operating.rows import csv_records

_HEADER = ["name", "code"]
_INSTEAD = "without --codes the codes are printed"


class CodesFile:
    """A CSV file, `name` and `code`; a new one has mode 0600. See `files.write_whole`.

    `order` gives the names in the order of the people file. Rows come in that order, followed by
    the rows of people who are not in it, unchanged. One process at a time may update it.
    """

    def __init__(self, path: Path, order: Sequence[str] = ()) -> None:
        self._path = path
        self._place = place_of(str(path))
        self._order = {name: position for position, name in enumerate(order)}

    @property
    def name(self) -> str:
        """How an error message names it."""
        return self._place.file

    def check(self) -> None:
        """Find out whether the file can be updated, before anything is started.

        Does everything that an update does, except for the codes. Raises `Refused` if the file is
        not a codes file, or cannot be written. Leftovers of killed writers are removed.
        """
        try:
            clear_leftovers(self._path)
            self._check_not_printed_to()
            self._read()
            check_whole(self._path)
        except NotRegularError as error:
            raise self._place.failure_of_whole(f"{error.strerror}; {_INSTEAD}") from None
        except OSError as error:
            raise because(self._place.file, error) from None

    def _check_not_printed_to(self) -> None:
        """Refuse to replace a file that a standard stream goes to: its output would be lost."""
        if not self._path.exists():
            return
        for number in (1, 2):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(number), self._path.stat()):
                    raise self._place.failure_of_whole(
                        f"what the command prints goes into this file already; {_INSTEAD}"
                    )

    def codes(self) -> dict[str, str]:
        """Return the codes that are in the file, by name. Raises Refused as `check` does."""
        return self._read()

    def update(self, codes: Mapping[str, str]) -> None:
        """Add these codes, or replace earlier ones of the same people.

        Costs one rewrite and one fsync of the file: give it many codes at a time. Raises `Refused`
        as `check` does, and leaves the file as it was.
        """
        before = self._read()
        after = {**before, **codes}
        if after == before and self._path.exists():
            return
        try:
            write_whole(self._path, self._rendered(after))
        except OSError as error:
            raise because(self._place.file, error) from None

    def _read(self) -> dict[str, str]:
        try:
            stream = self._path.open("rb")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise because(self._place.file, error) from None
        with stream:
            return _codes(text_lines(stream, self._place), self._place)

    def _rendered(self, codes: Mapping[str, str]) -> bytes:
        last = len(self._order)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_HEADER)
        names = sorted(codes, key=lambda name: self._order.get(name, last))
        writer.writerows([name, codes[name]] for name in names)
        return text.getvalue().encode("utf-8")


def _codes(lines: Iterator[str], place: Place) -> dict[str, str]:
    codes: dict[str, str] = {}
    for line, record in csv_records(lines, place):
        if line == 1 and record == _HEADER:
            continue
        if line == 1 or len(record) != len(_HEADER) or record[0] in codes:
            raise place.failure(
                line,
                "this is not a codes file (header name,code), and is not overwritten;"
                " give --codes another file",
            )
        codes[record[0]] = record[1]
    return codes
