"""How an operation of the API is declared: served and documented from the same words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

from holdfast.console.answers import Answer, Wrong
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.viewers import Role

PREFIX: Final = "/api/v1"

LARGEST_BODY: Final = 1024 * 1024
"""Bytes that the body of a request may have."""

Schema = Mapping[str, Any]


@frozen
class Route:
    """One operation.

    Args:
        method: GET or POST.
        path: behind PREFIX, with variables in angle brackets.
        name: its `operationId`.
        handler: what answers, in a thread.
        role: what the token must be for.
        summary: what it does, in a line.
        answers: what each status means, and the schema of its body.
        body: the schema of the JSON object that is sent; None: nothing is.
        query: what may stand in the address, with descriptions.
        headers: what may stand in headers, with descriptions.
    """

    method: str
    path: str
    name: str
    handler: Callable[[Asked, Desk], Answer]
    role: Role
    summary: str
    answers: Mapping[int, tuple[str, Schema]]
    body: Schema | None = None
    query: Mapping[str, str] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict)


def json_object(asked: Asked, schema: Schema) -> Mapping[str, Any]:
    """Return the JSON object that was sent, as the schema has it. Raises Wrong.

    No message repeats a value, because it may be a secret.
    """
    try:
        found = json.loads(asked.body) if asked.body.strip() else {}
    except (ValueError, RecursionError):
        raise Wrong(400, "The body is not JSON.") from None
    if not isinstance(found, dict):
        raise Wrong(400, "The body is not a JSON object.")
    known = schema["properties"]
    for name in found.keys() - known.keys():
        raise Wrong(400, f"The body has an unknown field {name[:60]!r}.")
    for name in schema.get("required", ()):
        if name not in found:
            raise Wrong(400, f"The body lacks the field {name!r}.")
    for name, value in found.items():
        _check(name, value, known[name])
    return found


_TYPES: Final[Mapping[str, type]] = {"string": str, "integer": int, "boolean": bool}


def _check(name: str, value: object, schema: Schema) -> None:
    kind = schema["type"]
    if kind == "array":
        if not isinstance(value, list):
            raise Wrong(400, f"The field {name!r} must be of the type {kind}.")
        for each in value:
            _check(name, each, schema["items"])
        return
    if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        raise Wrong(400, f"The field {name!r} must be of the type {kind}.")
    if isinstance(value, int) and not isinstance(value, bool):
        least, most = schema["minimum"], schema["maximum"]
        if not least <= value <= most:
            raise Wrong(400, f"The field {name!r} must be from {least} to {most}.")
