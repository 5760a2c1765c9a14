"""Where `holdfast provision` puts the codes: a file or standard output, pictures, letters."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from attrs import define, field

from holdfast.cli import say
from holdfast.cli.filing import Filing
from holdfast.cli.pictures import Pictures
from holdfast.cli.status_line import StatusLine
from holdfast.operating.codes_file import CodesFile
from holdfast.operating.letters import LettersOfCodes
from holdfast.operating.printable import printable
from holdfast.operating.standing import live_code

if TYPE_CHECKING:
    from holdfast_journal import FlowRow


@define(eq=False)
class CodesGiven:
    """Gives out each code once, when it is there, and a new one again.

    Args:
        batch: whose codes these are.
        names: everybody who is to have one.
        line: the line that must not be in the way.
        codes_file: where codes go instead of standard output.
        pictures: draws each code, if that is asked for.
        letters: writes the letters, if there are to be any.
    """

    _batch: str
    _names: Collection[str]
    _line: StatusLine
    _codes_file: CodesFile | None = None
    _pictures: Pictures | None = None
    _letters: LettersOfCodes | None = None
    _filing: Filing[str] | None = field(init=False)
    _lettering: Filing[FlowRow] | None = field(init=False)
    _codes: dict[str, str] = field(factory=dict, init=False, repr=False)
    _codeless: set[str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._filing = None if self._codes_file is None else Filing(self._codes_file)
        self._lettering = None if self._letters is None else Filing(self._letters, "letters")
        self._codeless = set(self._names)

    @property
    def all_there(self) -> bool:
        """Whether everybody has a code, or needs none any more."""
        return not self._codeless

    def give(self, rows: Collection[FlowRow]) -> None:
        """Give out what is new in flows that have moved."""
        new = {row.name: row for row in rows if self._is_new(row)}
        if not new:
            return
        if self._filing is not None:
            self._filing.add({name: self._codes[name] for name in new})
        for name in new:
            self._show(name, self._codes[name])
        if self._lettering is not None:
            self._lettering.add(new)

    def finish_letters(self) -> None:
        """Wait until the letters are written, for which the journal must be open."""
        if self._lettering is not None:
            self._lettering.finish()

    def finish_codes(self) -> None:
        """Wait until the codes file is written."""
        if self._filing is not None:
            self._filing.finish()

    def tell_of_letters(self, finished: Collection[str]) -> None:
        """Say that letters of people whose flows are over are still there."""
        if self._letters is None:
            return
        letters = self._letters.letters
        left = sum(letters.path(self._batch, name).exists() for name in finished)
        if left:
            whose = (
                "The letter of a flow that is over is"
                if left == 1
                else f"The letters of {left} flows that are over are"
            )
            self._line.print(f"{whose} left in {letters.name}.")

    def _is_new(self, row: FlowRow) -> bool:
        code = live_code(row)
        if code is not None or row.finished_at is not None:
            self._codeless.discard(row.name)
        if code is None or self._codes.get(row.name) == code:
            return False
        self._codes[row.name] = code
        return True

    def _show(self, name: str, code: str) -> None:
        if self._filing is None:
            self._line.clear()
            say.out(f"{printable(name)}\t{code}")
        if self._pictures is not None:
            self._line.clear()
            say.out(self._pictures.of(name, code))
