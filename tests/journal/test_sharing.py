"""Several services of one database: one on an SQLite file, any number on PostgreSQL."""

import os

import pytest

from holdfast_journal import AlreadyServed
from tests.journal.conftest import Journals
from tests.journal.test_leases import file

__all__ = ["file"]


class TestOneService:
    def test_a_second_one(self, file: str, journals: Journals) -> None:
        """An SQLite file has one service; the next can begin when that one is over."""
        one, two = journals.open(file), journals.open(file)
        one.serve(["provision", "send"])
        with pytest.raises(AlreadyServed, match=f"^process {os.getpid()} serves /.*journal.db "):
            two.serve(["provision", "send"])
        one.serve(None)  # again, as it likes
        one.close()
        two.serve(["provision", "send"])

    def test_in_memory(self, journals: Journals) -> None:
        """Where nobody else can be, nobody is refused."""
        journals.open("sqlite://").serve(["provision"])
