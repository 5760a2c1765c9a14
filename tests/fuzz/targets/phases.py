"""What a peer says to a wormhole that is dilated, through the mailbox."""

from __future__ import annotations

import json
from collections.abc import Iterator

from twisted.internet.task import Clock

from holdfast.transit.network import through
from tests.core.record import CHECKPOINTS
from tests.fuzz.target import target
from tests.fuzz.wormholes import CUT, PEER, alive
from tests.transit.memory_network import World

WELCOME = '{"type": "welcome", "welcome": {}}'
PONG = '{"type": "pong", "pong": 0}'


def _phases() -> Iterator[bytes]:
    pleases = [
        json.dumps({"type": "please", "side": side * 16, "use-version": "ged"}) for side in "0f"
    ]
    hint = {"type": "direct-tcp-v1", "hostname": "192.0.2.1", "port": 4001, "priority": 0.0}
    hints = json.dumps({"type": "connection-hints", "hints": [hint]})
    for please in pleases:
        yield "\n".join([please, hints]).encode()
        yield "\n".join([please, hints, '{"type": "reconnect"}', CUT, hints]).encode()
        yield "\n".join([please, '{"type": "reconnecting"}', please, please, "{}"]).encode()


@target(seeds=_phases, examples=60)
def dilation_phases(data: bytes) -> None:
    """Whatever a peer says, the wormhole goes on, and its document can be read."""
    document = json.loads((CHECKPOINTS / "version-4-dilatable.json").read_text())["document"]
    clock = Clock()
    through(clock, World(clock).host("192.0.2.2"))
    with alive(json.dumps(document), clock=clock) as one:
        one.hear(WELCOME)
        one.hear(PONG)
        one.wormhole.dilate()
        for number, said in enumerate(data.split(b"\n")[:50]):
            if said == CUT.encode():
                one.hear(CUT)
                one.hear(WELCOME)
            phase = f"dilate-{number}"
            body = one.boxed(phase, said).hex()
            frame = {"type": "message", "side": PEER, "phase": phase, "body": body, "id": "ab"}
            one.hear(json.dumps(frame))
            clock.advance(1)
