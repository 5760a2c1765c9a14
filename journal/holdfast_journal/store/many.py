"""Statements about many rows at once."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from sqlalchemy.sql.expression import GenerativeSelect

_T = TypeVar("_T")
Query = TypeVar("Query", bound=GenerativeSelect)
"""Any SELECT, whatever the types of its columns."""

CHUNK = 500
"""Values in one IN (...): every database takes this many."""


def chunks(values: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Cut `values` into lists of at most `size`."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk
