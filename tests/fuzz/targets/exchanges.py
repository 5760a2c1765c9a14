"""What peers and operators say in the ready-made exchanges: public keys, grids."""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.flows.shipped.tahoe import BadConfiguration, configuration
from holdfast.transfer.public_keys import BadPublicKey, read_public_key
from tests.fuzz.target import SECRET, expect, target
from tests.transfer.keys import FINGERPRINTS, SHORT_RSA


def _keys() -> Iterator[bytes]:
    for line in (*FINGERPRINTS, SHORT_RSA):
        yield f"{line} {SECRET}\n".encode()
    yield f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n".encode()


@target(BadPublicKey, seeds=_keys, examples=30)
def public_key(data: bytes) -> None:
    """A key that a peer sends, which gets a line in `authorized_keys`: one, and of a key."""
    key = read_public_key(data.decode("utf-8", "surrogateescape"))
    expect(key.line.isprintable(), "more than one line, or what a terminal obeys")
    expect(key.line.startswith(f"{key.kind} {key.blob}"), "there is something before the key")
    expect(read_public_key(key.line) == key, "read again, it is another key")
    expect(len(key.fingerprint) == 50, "a fingerprint of another length")


def _grids() -> Iterator[bytes]:
    grid = {"introducer": f"pb://{SECRET}@tcp:example.com:1/x", "nickname": "bob"}
    yield json.dumps(grid).encode()
    yield json.dumps({**grid, "shares-needed": 1, "shares-happy": "2", "shares-total": 3}).encode()


@target(BadConfiguration, seeds=_grids, examples=30)
def grid_configuration(data: bytes) -> None:
    """What an operator's command prints for a client of a grid: it can be said, and is bounded."""
    told = configuration(data.decode("utf-8", "surrogateescape"), "ann")
    expect(len(json.dumps(told)) < 60_000, "too long to be sent")
    expect(told["needed"] <= told["happy"] <= told["total"] <= 256, "shares that do not rise")
