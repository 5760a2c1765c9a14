"""A peer made by hand: what it would put in the mailbox, honest or not."""

from __future__ import annotations

import json

from attrs import define

from holdfast.core import events as ev
from holdfast.crypto import finish, phase_key, seal, start
from tests.core.clients import APPID

PEER = "peerpeer00"


@define
class HandmadePeer:
    """One who knows *code*; its key is there once it has our half."""

    code: str
    name: str = PEER
    key: bytes = b""

    @property
    def pake(self) -> ev.MessageArrived:
        """Its half of the key."""
        half = start(self.code, APPID, bytes([7]) * 64)
        body = json.dumps({"pake_v1": half.message.hex()}).encode()
        return ev.MessageArrived(self.name, "pake", body)

    def agree(self, ours: str) -> None:
        """Take *ours*, the body (hex) of our pake message."""
        theirs = bytes.fromhex(json.loads(bytes.fromhex(ours))["pake_v1"])
        half = start(self.code, APPID, bytes([7]) * 64)
        self.key = finish(self.code, APPID, half, theirs)

    def message(self, phase: str, plaintext: bytes) -> ev.MessageArrived:
        """A message that decrypts, if the key is ours."""
        secret = phase_key(self.key or bytes(32), self.name, phase)
        return ev.MessageArrived(self.name, phase, seal(secret, plaintext, bytes(24)))

    def version(self, content: bytes = b'{"app_versions": {"a": 1}}') -> ev.MessageArrived:
        """Its version message."""
        return self.message("version", content)
