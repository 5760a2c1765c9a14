"""The fields of a user's own flow, as they are typed: checked before anything is stored.

No message repeats a value, because it may be a secret.
"""

from __future__ import annotations

import contextlib
import enum
import json
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Union

import attrs
from attrs import Attribute, AttrsInstance

from holdfast.operating.printable import printable, quoted
from holdfast.operating.refused import Refused

if TYPE_CHECKING:
    from holdfast.flows import Flow

LONGEST: Final = 1024 * 1024
"""Bytes of all fields in a file."""

_PLAIN: Final[Mapping[Any, str]] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    Any: "any JSON value",
}


def typed_fields(words: Sequence[str]) -> dict[str, str]:
    """Return the fields of `FIELD=VALUE` words. Raises Refused."""
    fields: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise Refused(f"a field is written FIELD=VALUE, and this is not: {quoted(name)}")
        if name in fields:
            raise Refused(f"the field {quoted(name)} is there twice")
        fields[name] = value
    return fields


def fields_in(data: bytes, where: str) -> dict[str, Any]:
    """Return the fields in a JSON object. Raises Refused."""
    if len(data) > LONGEST:
        raise Refused(f"{where}: longer than 1 MiB")
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused(f"{where}: not a JSON object, such as " + '{"user": "ada"}')
    return value


def flow_of(cls: type[Flow], typed: Mapping[str, str], given: Mapping[str, Any]) -> Flow:
    """Return a flow with these fields.

    Args:
        cls: the flow's class.
        typed: values as they are typed: a text is itself, everything else is JSON.
        given: values that were JSON.

    Raises:
        Refused: a field is missing, unknown or does not fit; the message says what it takes.
    """
    ours = _parameters(cls)
    for name in (*typed, *given):
        if name not in ours:
            there = ", ".join(ours) or "none"
            raise Refused(
                f"{cls.__name__} has no field {quoted(name)} that can be given; its fields: {there}"
            )
        if name in typed and name in given:
            raise Refused(f"the field {quoted(name)} is there twice")
    kinds = _types(cls)
    values: dict[str, Any] = {}
    for name, each in ours.items():
        kind = kinds.get(each.name, Any)
        if name in typed:
            values[name] = _from_text(cls, name, typed[name], kind)
        elif name in given:
            values[name] = _structured(cls, name, [given[name]], kind)
    missing = [
        f"{name}=... ({described(kinds.get(each.name, Any))})"
        for name, each in ours.items()
        if name not in values and each.default is attrs.NOTHING
    ]
    if missing:
        raise Refused(f"{cls.__name__} needs {', '.join(missing)}")
    try:
        return cls(**values)
    except Exception as error:  # noqa: BLE001 - what the class's own validators raise
        raise Refused(f"{cls.__name__} refuses these fields: {type(error).__name__}") from None


def described(kind: Any) -> str:
    """Say in words what a field of this type takes."""
    if isinstance(kind, typing.Hashable) and kind in _PLAIN:
        return _PLAIN[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(described(each) for each in inner)
    if origin is typing.Annotated:
        return described(inner[0])
    if origin is Literal:
        return "one of " + ", ".join(str(each) for each in inner)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "one of " + ", ".join(str(each.value) for each in kind)
    if attrs.has(origin or kind):
        names = ", ".join(each.name for each in attrs.fields(origin or kind))
        return f"a JSON object with {names}"
    if isinstance(origin or kind, type):
        if issubclass(origin or kind, Mapping):
            of = f" whose values are each {described(inner[1])}" if len(inner) == 2 else ""
            return f"a JSON object{of}"
        if issubclass(origin or kind, Collection):
            of = f" of which each is {described(inner[0])}" if inner else ""
            return f"a JSON array{of}"
    return f"a JSON value that fits {printable(getattr(kind, '__name__', str(kind)), 60)}"


def _parameters(cls: type) -> dict[str, Attribute[Any]]:
    """Return the fields that a flow is started with, by their names in the constructor."""
    found = attrs.fields(typing.cast(type[AttrsInstance], cls))
    return {each.alias or each.name: each for each in found if each.init}


def _types(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except NameError as error:
        raise Refused(
            f"the annotations of {cls.__name__} cannot be read: {error.name} is not known there"
        ) from None


def _from_text(cls: type, name: str, text: str, kind: Any) -> Any:
    if kind is str:
        return _structured(cls, name, [text], kind)
    readings: list[Any] = []
    with contextlib.suppress(ValueError, RecursionError):
        readings.append(json.loads(text, parse_constant=_no_constant))
    inner = typing.get_args(kind)
    if str in inner and typing.get_origin(kind) in (Union, types.UnionType):
        # A text, unless it is null: "3" is what somebody typed.
        readings = [None] if text == "null" and type(None) in inner else [text]
    else:
        readings.append(text)
    return _structured(cls, name, readings, kind)


def _structured(cls: type, name: str, readings: Sequence[Any], kind: Any) -> Any:
    """Return the first of the readings that the type of the field takes. Raises Refused."""
    from holdfast.core.documents import converter

    for each in readings:
        if not _has_shape(each, kind):
            continue
        try:
            return converter.structure(each, kind)
        except Exception:  # noqa: BLE001, S112 - the types' own code raises anything
            continue
    raise Refused(f"{cls.__name__}.{name} takes {described(kind)}")


def _has_shape(value: Any, kind: Any) -> bool:
    """Whether arrays and objects are where the type has them: a text is not an array of letters."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    inner, kind = typing.get_args(kind), typing.get_origin(kind) or kind
    if not isinstance(kind, type) or issubclass(kind, (str, enum.Enum)):
        return True
    if attrs.has(kind):
        return isinstance(value, dict)
    if issubclass(kind, Mapping):
        values = value.values() if isinstance(value, dict) else ()
        return isinstance(value, dict) and all(
            _has_shape(each, inner[-1]) for each in values if inner
        )
    if issubclass(kind, Collection):
        return isinstance(value, list) and all(
            _has_shape(each, inner[0]) for each in value if inner
        )
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
