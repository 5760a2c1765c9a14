"""A letter for each person who has a code, in a directory.

A letter is written once for each code. Whether it was is read from the letter itself, so it may be
edited, and no list is kept beside it.
"""

from __future__ import annotations

import hashlib
import re
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from holdfast.files import check_new, clear_leftovers, write_one_of_many
from holdfast.operating.finding import DEFAULT_BATCH
from holdfast.operating.kept import kept_by
from holdfast.operating.letter_facts import Facts
from holdfast.operating.letter_templates import Template, shows_code
from holdfast.operating.printable import printable, quoted
from holdfast.operating.refused import Refused, because
from holdfast.operating.standing import live_code

if TYPE_CHECKING:
    from holdfast_journal import FlowRow, SqlJournal

_LONGEST: Final = 180
"""Bytes of the longest name of a file, without its suffix; file systems allow 255 in all."""

_LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a letter that are read to find its code."""

_SAFE: Final = frozenset(" -_.@+")
_MARKED: Final = re.compile(r"-[0-9a-f]{12}\Z")


class Became(Enum):
    """What became of a letter."""

    WRITTEN = "written"
    REPLACED = "replaced, because the code is new"
    THERE = "written before"
    NO_CODE = "no code yet"
    LEFT = "left alone, because the flow is over"
    NEVER = "over"


@frozen
class Letters:
    """The letters of one directory.

    Args:
        directory: where they go. Batches other than the default one have directories in it.
        template: what they say.
        again: whether letters that are there already are written again.
        people: what is in the other columns of a people file, by name.
    """

    directory: Path
    template: Template
    again: bool = False
    people: Mapping[str, Mapping[str, str]] = field(factory=dict, repr=False)

    @property
    def name(self) -> str:
        """How an error message names the directory."""
        return printable(str(self.directory), 300)

    def path(self, batch: str, name: str) -> Path:
        """Return where somebody's letter is, or would be."""
        inside = self.directory if batch == DEFAULT_BATCH else self.directory / safe_name(batch)
        return inside / f"{safe_name(name)}{self.template.suffix}"

    def check(self, who: Iterable[tuple[str, str]]) -> None:
        """Find out whether letters can be written, before anything is started.

        Makes the directories, readable by their owner only, and removes what killed writers of
        these letters have left.

        Args:
            who: the batch and the name of everyone who gets a letter.

        Raises:
            Refused: they cannot.
        """
        paths = [self.path(batch, name) for batch, name in who]
        try:
            for directory in {path.parent for path in paths}:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                check_new(directory / "trial")
            clear_leftovers(*paths)
        except OSError as error:
            raise because(self.name, error) from None

    def is_due(self, row: FlowRow) -> bool:
        """Whether `write` would write a letter of this flow; if it cannot look, it says yes."""
        code = live_code(row)
        if code is None or self.again:
            return code is not None
        try:
            before = self._content(row.batch, row.name)
        except Refused:
            return True
        return before is None or not shows_code(before, code)

    def write(self, journal: SqlJournal, row: FlowRow) -> Became:
        """Write the letter of a flow, unless the one that is there shows its code.

        Raises:
            Refused: the template refuses, or the file cannot be written.
            DatabaseUnusable: the flow cannot be read.
        """
        before = self._content(row.batch, row.name)
        code = live_code(row)
        if row.finished_at is not None:
            return Became.NEVER if before is None else Became.LEFT
        if code is None:
            return Became.NO_CODE
        same = before is not None and shows_code(before, code)
        if same and not self.again:
            return Became.THERE
        kept = kept_by(journal, row)
        if kept is None:
            raise Refused(f"{quoted(row.name)}: what this flow saved cannot be read")
        self.put(Facts(row.name, row.batch, code, kept, self.people.get(row.name, {})))
        return Became.WRITTEN if before is None or same else Became.REPLACED

    def put(self, facts: Facts) -> None:
        """Write a letter, in the place of one that is there. Raises `Refused`."""
        letter = self.template.render(facts)
        path = self.path(facts.batch, facts.name)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A letter that a power cut has emptied shows no code, so it is written again.
            write_one_of_many(path, letter.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise because(self._called(facts.name), error) from None

    def _content(self, batch: str, name: str) -> str | None:
        """Return the letter that is there, as far as letters go; None if there is none."""
        path = self.path(batch, name)
        try:
            if not stat.S_ISREG(path.lstat().st_mode):  # a link would be followed, a pipe waits
                raise Refused(f"{self._called(name)}: not a regular file is in its place")
            with path.open("rb") as stream:
                return stream.read(_LARGEST).decode("utf-8", "replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise because(self._called(name), error) from None

    def _called(self, name: str) -> str:
        return f"the letter for {quoted(name)} in {self.name}"


@frozen
class LettersOfCodes:
    """Writes the letters of flows whose codes have come, for a command that runs them."""

    letters: Letters
    journal: SqlJournal

    @property
    def name(self) -> str:
        """How an error message names the directory."""
        return self.letters.name

    def update(self, rows: Mapping[str, FlowRow]) -> None:
        """Write the letters of these flows; all that can be written.

        Raises:
            Refused: some cannot; the words are those of the first.
        """
        from holdfast_journal import JournalError

        first: Refused | None = None
        for row in rows.values():
            try:
                self.letters.write(self.journal, row)
            except Refused as refused:
                first = first or refused
            except JournalError:
                raise Refused(f"{self.name}: the database cannot be read now") from None
        if first is not None:
            raise first


def safe_name(name: str) -> str:
    """Return a name as that of a file: the name itself where every file system can have it.

    Others have what is not safe replaced, and end in a part of a digest, which keeps them apart.
    """
    safe = "".join(each if _is_safe(each) else "_" for each in name)
    safe = "_" + safe[1:] if safe[:1] in (".", "-") else safe
    safe = safe.encode()[:_LONGEST].decode(errors="ignore")
    if safe == name and not _MARKED.search(name) and name.strip() == name:
        return name
    return f"{safe}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"


def _is_safe(character: str) -> bool:
    # Marks too: an accent may stand by itself.
    return character in _SAFE or unicodedata.category(character)[0] in "LMN"
