"""JSON documents to attrs values and back, with every type checked, and old ones brought forward.

Where a string is expected, cattrs on its own turns a number into one. A checkpoint in which that
is necessary is damaged, and is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Final, TypeAlias, TypeVar, get_origin

from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError

from holdfast.errors import BadCheckpoint

T = TypeVar("T")

LONGEST_WHY: Final = 500
"""Characters of what an error says about a document."""


def exactly(kind: type) -> Any:
    """Return a hook that takes values of this very type: no bool for a number."""

    def check(value: object, _: type) -> object:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
        return value

    return check


Hex: TypeAlias = Annotated[str, "hexadecimal digits"]
"""Bytes in a document, already checked to be readable as bytes."""


def _hex(value: object, _: type) -> str:
    if type(value) is not str:
        raise TypeError(f"expected hexadecimal digits, found {type(value).__name__}")
    bytes.fromhex(value)
    return value


converter = Converter(forbid_extra_keys=True)
"""For attrs classes of JSON values; checks the type of everything it reads."""


def _number(value: object, _: type) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"expected a number, found {type(value).__name__}")
    return float(value)  # type: ignore[arg-type]


def _is_tuple(kind: object) -> bool:
    return get_origin(kind) is tuple


for _kind in (str, int, bool):
    converter.register_structure_hook(_kind, exactly(_kind))
converter.register_structure_hook(float, _number)


converter.register_structure_hook_func(lambda kind: kind is Hex, _hex)
converter.register_unstructure_hook_func(_is_tuple, list)


# cattrs generates and compiles a function for each class, once, at its first use.
_writer: Final = cache(converter.get_unstructure_hook)


def unstructure(value: object) -> Any:
    """Return an attrs value as JSON values."""
    kind: type = type(value)
    return _writer(kind)(value)


Step: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes a document of the next version from one of its own, but leaves the number alone."""


def versioned(
    document: Mapping[str, Any], newest: int, steps: Mapping[int, Step], what: str
) -> dict[str, Any]:
    """Return `document` as one of the version `newest`.

    Args:
        document: says its version under that name.
        newest: the version that this release writes.
        steps: for each old version, the step to the next one; none if nothing has to be done.
        what: the document in words, for the messages of errors.

    Raises:
        BadCheckpoint: it has no version, or a newer one.
    """
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise BadCheckpoint(f"{what} is damaged: it has no version")
    if version > newest:
        raise BadCheckpoint(
            f"{what} has version {version}, and this Holdfast knows {newest}:"
            " use the release that saved it, or a newer one"
        )
    record = dict(document)
    for old in range(version, newest):
        if old in steps:
            record = steps[old](record)
        record = {**record, "version": old + 1}
    return record


def copied(value: Any) -> Any:
    """Return a copy of a JSON value, which the recipient may change."""
    if isinstance(value, Mapping):
        return {name: copied(inner) for name, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def structure(record: object, kind: type[T]) -> T:
    """Return the attrs value that a JSON document holds.

    Raises:
        BadCheckpoint: the document does not have the shape of `kind`. The message names the place
            and the expected type, never the value.
    """
    try:
        return converter.structure(record, kind)
    except (BaseValidationError, TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, BaseValidationError):
            why = "; ".join(transform_error(error, path=kind.__name__))
        else:
            why = f"{kind.__name__}: {type(error).__name__}"
        # The names of fields that do not belong there come from the document.
        why = "".join(letter if letter.isprintable() else "?" for letter in why[:LONGEST_WHY])
        raise BadCheckpoint(f"the saved wormhole is damaged: {why}") from None
