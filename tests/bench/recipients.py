"""Recipients that cost little: what a stock client says, from a code to its text, on a raw socket.

They understand just enough to go on, so that hundreds can come while the other side is measured
from the same machine. The keys are real: whoever hands over the text has proved the code.
"""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from attrs import define, frozen

from holdfast.crypto import pake, phase
from holdfast.transfer import messages
from holdfast.transfer.text import APPID
from tests.harness.talker import Client, connected


@frozen
class Collected:
    """What a recipient got, and how long it waited for the other side's first answer."""

    text: str
    answered: float
    """Seconds from the echo of its first message, which is on the server then, to the answer."""


@define(eq=False)
class Mailbox:
    """A mailbox that a client has open, and what was said there."""

    client: Client
    side: str
    read: int = 0

    async def heard(self, phase: str, *, own: bool = False) -> str:
        """Wait for a message, which comes behind those that were waited for; return its body."""
        while True:
            self.read += 1
            said = await self.client.heard("message", self.read)
            if said["phase"] == phase and (said["side"] == self.side) == own:
                return str(said["body"])


async def collect(url: str, code: str, begun: "asyncio.Event | None" = None) -> Collected:
    """Collect the text behind a code. `begun` is set once the first message is on the server."""
    side = os.urandom(5).hex()
    client = await connected(url, APPID, side)
    nameplate = code.partition("-")[0]
    client.say("claim", nameplate=nameplate)
    client.say("open", mailbox=(await client.heard("claimed"))["mailbox"])
    box = Mailbox(client, side)
    theirs = bytes.fromhex(await box.heard("pake"))
    half = pake.start(code, APPID, os.urandom(pake.SEED_LENGTH))
    client.say("add", phase="pake", body=_hex({"pake_v1": half.message.hex()}))
    await box.heard("pake", own=True)
    there = time.monotonic()
    if begun is not None:
        begun.set()
    message = bytes.fromhex(json.loads(theirs)["pake_v1"])
    key = pake.finish(code, APPID, half, message)
    sender = _sender(client, side)
    await box.heard("version")
    answered = time.monotonic() - there
    client.say("release", nameplate=nameplate)
    client.say("add", phase="version", body=_sealed(key, side, "version", b'{"app_versions": {}}'))
    body = bytes.fromhex(await box.heard("0"))
    offer = json.loads(phase.unseal(phase.phase_key(key, sender, "0"), body))
    client.say("add", phase="0", body=_sealed(key, side, "0", messages.accept_text()))
    await box.heard("0", own=True)
    client.say("close", mood="happy")
    await client.heard("closed")
    client.leave()
    return Collected(offer["offer"]["message"], answered)


async def collect_all(url: str, codes: Sequence[str], per_second: float) -> list[Collected]:
    """Have recipients come at even distances."""
    begun = time.monotonic()
    tasks = []
    for number, code in enumerate(codes):
        await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
        tasks.append(asyncio.create_task(collect(url, code)))
    return list(await asyncio.gather(*tasks))


def _sender(client: Client, side: str) -> str:
    """The side of whoever was there first."""
    heard: list[dict[str, Any]] = client.all("message")
    return next(str(said["side"]) for said in heard if said["side"] != side)


def _hex(value: object) -> str:
    return json.dumps(value).encode().hex()


def _sealed(key: bytes, side: str, name: str, plaintext: bytes) -> str:
    return phase.seal(phase.phase_key(key, side, name), plaintext, os.urandom(24)).hex()
