"""Whether a row holds what its columns are for: SQLite keeps any value in any column.

Any program that can write the file can put a text where a number belongs. One such row must not
make all the others unusable.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType, SimpleNamespace
from typing import Any

from sqlalchemy import Column, Double, Integer, LargeBinary, Table

_HIGHEST = 2**62
"""Larger numbers are never ours, and could not be added to."""


def is_number(value: object) -> bool:
    """Whether it is an integer that can be an id, a seq or a count."""
    return type(value) is int and -_HIGHEST < value < _HIGHEST


def unsound(row: Any, table: Table) -> list[str]:
    """The columns of a `row` of `table` that hold values of a wrong kind; it may have some only."""
    found = []
    for place, name, kinds in _kinds(table, row._fields):
        value = row[place]
        if type(value) not in kinds or (type(value) is int and not is_number(value)):
            found.append(name)
    return found


def mended(row: Any, table: Table, columns: Sequence[str]) -> Any:
    """The row, with something harmless in the place of what `unsound` found."""
    fields: Mapping[str, object] = row._mapping  # noqa: SLF001 - SQLAlchemy documents it
    return SimpleNamespace(**{**fields, **{name: _harmless(table.c[name]) for name in columns}})


def altered(columns: Sequence[str]) -> str:
    """Say which columns hold values of a wrong kind."""
    many = len(columns) > 1
    what = f"the column{'s' if many else ''} {', '.join(columns)} of its row"
    return f"{what} {'hold' if many else 'holds'} something else than belongs there"


@cache
def _kinds(table: Table, fields: tuple[str, ...]) -> Sequence[tuple[int, str, frozenset[type]]]:
    """Where in a row with these fields the columns are, and the types that they may hold.

    Made once for each query, because every row needs it.
    """
    return [
        (
            fields.index(each.name),
            each.name,
            frozenset({*_own(each), NoneType} if each.nullable else _own(each)),
        )
        for each in table.c
        if each.name in fields
    ]


def _own(column: Column[Any]) -> tuple[type, ...]:
    if isinstance(column.type, Integer):
        return (int,)
    if isinstance(column.type, Double):
        return (float, int)
    return (bytes,) if isinstance(column.type, LargeBinary) else (str,)


def _harmless(column: Column[Any]) -> object:
    return None if column.nullable else _own(column)[0]()


def texts(said: object) -> list[str]:
    """The texts in what an entry keeps as JSON; none if that was altered."""
    try:
        found = json.loads(said) if isinstance(said, str) else None
    except (ValueError, RecursionError):
        found = None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
