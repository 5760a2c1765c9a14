"""What a request is answered with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from attrs import frozen

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"


@frozen
class Answer:
    """A status, headers and a body."""

    body: bytes
    status: int = 200
    kind: str = HTML
    headers: Sequence[tuple[str, str]] = ()


class Wrong(Exception):
    """The request cannot be answered as it was meant: an HTTP status, and words for people.

    The words hold nothing secret.
    """

    def __init__(self, status: int, words: str, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.headers = headers


def as_json(value: object, status: int = 200, *, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """Answer with a JSON value, and the end of its line, for terminals."""
    return Answer(f"{json.dumps(value)}\n".encode(), status, JSON, headers)


def redirect(to: str, *, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """Send the browser to another page of the console, to be read by GET."""
    return Answer(b"", 303, headers=[("Location", to), *headers])
