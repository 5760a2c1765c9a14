"""Transit with `wormhole-william`, the Go client, where it is installed."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from typing import Any

import pytest
from twisted.internet import reactor as real
from twisted.internet.threads import deferToThread

import holdfast
from tests.harness import reactor
from tests.harness.peers import needs_william, william_receive
from tests.harness.scripted import TEXT_OR_FILE
from tests.harness.server import MailboxServer

pytestmark = needs_william

DATA = bytes(range(256)) * 4000


async def said(wormhole: Any, what: str) -> Any:
    """What the peer says under that name."""
    while True:
        message = json.loads(await wormhole.get_message())
        assert "error" not in message
        if what in message:
            return message[what]


@pytest.mark.parametrize("direct", [True, False], ids=["directly", "through a relay"])
def test_it_receives(server: MailboxServer, relay: str, direct: bool, tmp_path: Any) -> None:
    """It has the whole file, and its acknowledgement is the file's digest."""

    async def sending() -> dict[str, str]:
        wormhole = holdfast.create(TEXT_OR_FILE, server.url, real)
        wormhole.allocate_code()
        code = await wormhole.get_code()
        with william_receive(server.url, code, cwd=tmp_path, stdin=subprocess.PIPE) as child:
            child.write("y\n")
            await wormhole.get_verifier()
            sender = wormhole.create_transit("sender", relay, no_listen=not direct)
            transit = {
                "abilities-v1": sender.get_connection_abilities(),
                "hints-v1": await sender.get_connection_hints(),
            }
            offer = {"file": {"filename": "sent", "filesize": len(DATA)}}
            for message in ({"transit": transit}, {"offer": offer}):
                wormhole.send_message(json.dumps(message).encode())
            sender.add_connection_hints((await said(wormhole, "transit"))["hints-v1"])
            assert (await said(wormhole, "answer"))["file_ack"] == "ok"
            connection = await sender.connect()
            for at in range(0, len(DATA), 100_000):
                connection.send_record(DATA[at : at + 100_000])
            ack: dict[str, str] = json.loads(await connection.receive_record())
            connection.close()
            await wormhole.close()
            assert (await deferToThread(child.wait)).status == 0
            return ack

    assert reactor.run(sending) == {"ack": "ok", "sha256": sha256(DATA).hexdigest()}
    assert (tmp_path / "sent").read_bytes() == DATA
