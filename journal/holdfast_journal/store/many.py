"""Statements about many rows at once."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Text, any_, bindparam, func, select

_T = TypeVar("_T")


CHUNK = 500
"""Values in one IN (...): every database takes this many."""


def chunks(values: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Cut `values` into lists of at most `size`."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def among(is_postgresql: bool, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column` IN the parameter `name`, which is what `listed` makes of any number of values."""
    if is_postgresql:
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    each = func.json_each(bindparam(name, type_=Text)).table_valued("value", name="each")
    return column.in_(select(each.c.value))


def listed(is_postgresql: bool, values: Iterable[object] | None) -> object:
    """Values for `among`; None for None."""
    if values is None:
        return None
    return list(values) if is_postgresql else json.dumps(list(values))
