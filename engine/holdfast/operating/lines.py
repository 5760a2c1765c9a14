"""Text files read line by line in bounded memory, even if an attacker wrote them."""

from collections.abc import Iterator
from typing import BinaryIO

from attrs import frozen

from holdfast.operating.printable import printable
from holdfast.operating.refused import Refused, because

LONGEST_LINE = 1024 * 1024
"""Bytes. A longer line is refused before all of it has been read."""

_BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


@frozen
class Place:
    """A file that is being read, as an error message names it."""

    file: str

    def failure(self, line: int, problem: str) -> Refused:
        """Return the failure `FILE, line N: problem`."""
        return Refused(f"{self.file}, line {line}: {problem}")

    def failure_of_whole(self, problem: str) -> Refused:
        """Return the failure `FILE: problem`."""
        return Refused(f"{self.file}: {problem}")


def place_of(file: str) -> Place:
    """Return the place for a file's name, which may hold anything."""
    return Place(printable(file, 300))


def text_lines(stream: BinaryIO, place: Place) -> Iterator[str]:
    """Yield each line, its line end included, decoded from UTF-8; a byte order mark is dropped.

    Raises `Refused` with the line's number for a line that is too long, a NUL byte, a line that is
    not UTF-8, or a file that cannot be read further. None of them repeats anything of the line.
    """
    number = 0
    while True:
        try:
            line = stream.readline(LONGEST_LINE + 1)
        except OSError as error:
            raise because(place.file, error) from None
        if not line:
            return
        number += 1
        if number == 1:
            if line.startswith(_OTHER_ENCODINGS):
                raise place.failure(1, "this is UTF-16; save the file as UTF-8")
            line = line.removeprefix(_BOM)
        if len(line) > LONGEST_LINE:
            raise place.failure(number, "longer than 1 MiB; this cannot be a list of people")
        if b"\0" in line:
            raise place.failure(number, f"byte {line.index(0) + 1} is NUL; this is not a text file")
        yield _decoded(line, number, place)


def _decoded(line: bytes, number: int, place: Place) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} is not UTF-8; save the file as UTF-8"
    # Raised outside the handler: the decoder's own error holds the line.
    raise place.failure(number, problem)
