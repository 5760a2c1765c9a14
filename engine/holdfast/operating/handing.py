"""Handing people files: which flow does it, and what is checked before anything is started."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from holdfast.operating.lines import place_of
from holdfast.operating.minting import PLACEHOLDER
from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused
from holdfast.transfer.errors import SourceError
from holdfast.transfer.names import BadName, safe_name

if TYPE_CHECKING:
    from holdfast.flows.shipped.coding import Coding
    from holdfast.flows.shipped.provision_file import ProvisionFile
    from holdfast.flows.shipped.transferring import Ways
    from holdfast.operating.people import Person
    from holdfast_journal import FlowRow, SqlJournal


@frozen
class AskedFiles:
    """How files are handed over.

    Args:
        ways: how this machine may be reached; None if nobody gets a file.
        name: what a file is called at the other end, `{name}` being the person; by default, a file
            that is there has its own name, and one that is made the person's.
        minted: whether the command that mints makes a file.
    """

    ways: Ways | None = None
    name: str | None = None
    minted: bool = False

    def name_for(self, person: str) -> str | None:
        """Return what the file of a person is called. Raises BadName."""
        if self.name is not None:
            return safe_name(self.name.replace(PLACEHOLDER, person))
        return safe_name(person) if self.minted else None


NO_FILES = AskedFiles()


def check_files(people: Sequence[Person], asked: AskedFiles, source: str) -> None:
    """See that every file is there and can be sent, without reading it.

    Args:
        people: those who may get one.
        asked: how.
        source: the people file, for an error's text.

    Raises:
        Refused: what is wrong, and in which line.
    """
    from holdfast.transfer.sources import look

    place, seen = place_of(source), set[str]()
    for person in people:
        if person.file is None and not asked.minted:
            continue
        try:
            asked.name_for(person.name)
            if person.file is not None and person.file not in seen:
                look([Path(person.file)])
                seen.add(person.file)
        except (SourceError, BadName) as error:
            words = str(error).rstrip(".")
            if isinstance(error, BadName):
                words = f"no file can be called {quoted(asked.name or person.name)}"
            raise place.failure(person.line, words) if person.line else Refused(words) from None


def file_flow(
    batch: str,
    person: Person,
    mint: Sequence[str] | None,
    seconds: float,
    asked: AskedFiles,
    coding: Coding,
) -> tuple[ProvisionFile, tuple[str, ...]]:
    """Return the flow that hands a file to a person, and what makes it the same as another.

    Args:
        batch: the person's batch.
        person: who has a file, unless there is a command.
        mint: the command that writes the file, as it is for this person.
        seconds: how long it may take.
        asked: how it is handed over.
        coding: what code it gets.
    """
    from holdfast.flows.shipped.provision_file import ProvisionFile
    from holdfast.flows.shipped.transferring import Ways

    name, ways = asked.name_for(person.name), asked.ways or Ways()
    if mint is None:
        assert person.file is not None  # noqa: S101 - the caller's
        flow = ProvisionFile(
            paths=[person.file], name=name, ways=ways, coding=coding, person=person.name
        )
        return flow, ("file", person.file, name or "")
    flow = ProvisionFile(
        paths=[],
        name=name,
        ways=ways,
        coding=coding,
        person=person.name,
        mint=list(mint),
        mint_timeout=seconds,
        private=drawer(batch, person.name),
    )
    return flow, ("mint-file", *mint, name or "")


def drawer(batch: str, name: str) -> str:
    """Return what a flow's directory is called among the private ones of each worker."""
    return hashlib.blake2b(f"{batch}\0{name}".encode(), digest_size=12).hexdigest()


def sweep_private(journal: SqlJournal, private: Path) -> None:
    """Remove the private files of flows that are over, which a process could not do that died.

    Raises DatabaseUnusable.
    """
    from holdfast.flows.shipped.private import left

    there = left(private)  # first: what is made later belongs to a flow that is not over
    if not there:
        return
    needed = {drawer(row.batch, row.name) for row in _unfinished(journal)}
    for name in there:
        if name not in needed:
            shutil.rmtree(private / name, ignore_errors=True)


def _unfinished(journal: SqlJournal) -> Iterator[FlowRow]:
    """Yield the flows that may have a private file: a page at a time, since many may wait."""
    from holdfast_journal import Filter

    chosen, page = Filter(kinds=["provision-file"], finished=False), None
    while page is None or page.then is not None:
        page = journal.page(chosen, after=None if page is None else page.then)
        yield from page.rows
