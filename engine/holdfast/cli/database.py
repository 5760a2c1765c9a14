"""Opening a database for one short command; what that makes is told on standard error."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from holdfast.cli import say
from holdfast.operating import database

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal
    from holdfast_journal.upkeep import Upkeep


def existing_journal(url: str, *, looks: bool = False) -> "AbstractContextManager[SqlJournal]":
    """Do what `operating.database.existing_journal` does."""
    return database.existing_journal(url, say.tell, looks=looks)


def upkeep(
    url: str, *, upgrade: bool = False, looks: bool = False
) -> "AbstractContextManager[Upkeep]":
    """Do what `operating.database.upkeep` does."""
    return database.upkeep(url, say.tell, upgrade=upgrade, looks=looks)
