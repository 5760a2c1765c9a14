"""Broken variants of real inputs: JSON is broken as JSON, and anything as bytes.

Hypothesis and Atheris share this, so that both know the grammar of what they break.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any, Final

BIG: Final = "@big@"
DEEP: Final = "@deep@"
VERY_DEEP: Final = "@very deep@"
_RAW: Final = {
    json.dumps(BIG): "9" * 5000,
    json.dumps(DEEP): "[" * 60 + "]" * 60,
    json.dumps(VERY_DEEP): '{"a":' * 1200 + "0" + "}" * 1200,
}
"""What `json.dumps` cannot be told to write."""

VALUES: Final[Sequence[Any]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf")),
    *("", "0", "4-purple-sausages", "\0", "\ud800", "é", "e\u0301", "\u202e", "x" * 5000, "\n"),
    *([], {}, [[]], [None], {"": ""}, {"type": "pong"}, "00", "pake", "version", "4", BIG, DEEP),
    VERY_DEEP,
)

CHUNKS: Final[Sequence[bytes]] = (
    *(b"\0", b"\n", b"\r", b"\r\n", b'"', b"'", b",", b"-", b"#", b"@", b":", b"/", b"?", b"%"),
    *(b"\xff", b"\x80", b"\xc3", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"\x0c", b"\x85"),
    *(b"{", b"}", b"[", b"]", b"\\", b"NaN", b"1e999", b"9" * 5000, b"[" * 2000, b"\\ud800"),
    *(b"\xcc\x80\xcc\x96" * 50, b"\xff\xff\xff\xff", b"\x7f", b"\x81", b"\x88\x02\x03\xe8"),
)


def mutated(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Break *data* in one to four places; *others* are inputs to take pieces from."""
    for _ in range(random.choice((1, 1, 2, 4))):
        as_json = _json(data, random) if random.random() < 0.7 else None
        data = _bytes(data, random, others) if as_json is None else as_json
    return data


def to_text(value: Any) -> str:
    """Return the JSON text of *value*, in which some strings stand for what cannot be written."""
    text = json.dumps(value, ensure_ascii=True)
    for placeholder, raw in _RAW.items():
        text = text.replace(placeholder, raw)
    return text


def _json(data: bytes, random: Random) -> bytes | None:
    """Break the JSON that *data*, or one line of it, is; None if there is none."""
    lines = [data]
    at = 0
    for _ in range(3):
        try:
            value = json.loads(lines[at])
            if not isinstance(value, dict | list):
                return None
            lines[at] = to_text(_broken(value, random)).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            lines = data.split(b"\n")
            at = random.randrange(len(lines))
        else:
            return b"\n".join(lines)
    return None


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside of *value*."""
    found: list[tuple[Any, Any]] = []
    layer = [value]
    while layer:
        each = layer.pop()
        keys = list(each) if isinstance(each, dict) else range(len(each))
        for key in keys:
            found.append((each, key))
            if isinstance(each[key], dict | list):
                layer.append(each[key])
    return found


def _broken(value: Any, random: Random) -> Any:
    places = _places(value)
    if not places:
        return random.choice(VALUES)
    container, key = random.choice(places)
    match random.randrange(6):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container[str(random.choice(VALUES))[:50]] = container[key]
        case 1 | 2:
            other, there = random.choice(places)
            container[key] = copy.deepcopy(other[there])
        case 3 if isinstance(container[key], str):
            container[key] = _text(container[key], random)
        case 4 if isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        case _:
            container[key] = copy.deepcopy(random.choice(VALUES))
    return value


def _text(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    more = random.choice(("", "\0", "\ud800", "é", " ", "-", "0", "g", "f", "z" * 300))
    return text[:at] + more + text[at + random.randrange(3) :]


def _bytes(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((0, 1, 1, 2, 4, 8, 64)))
    match random.randrange(6):
        case 0:
            return data[:at] + data[end:]
        case 1:
            return data[:at] + random.choice(CHUNKS) + data[end:]
        case 2:
            return data[:at] + data[at:end] * random.choice((2, 3, 50)) + data[end:]
        case 3 if others:
            other = random.choice(others)
            return data[:at] + other[random.randrange(len(other) + 1) :]
        case 4 if data:
            place = min(at, len(data) - 1)
            return (
                data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
            )
        case _:
            return data[:at] + random.randbytes(random.choice((1, 2, 4))) + data[end:]
