"""`--tor`: everything goes through Tor, or nothing is done."""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.peers import code_of
from tests.harness.process import BIN, Child, Holdfast
from tests.harness.relay import running_relay
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

TXTORCON = """
import json, os
from twisted.internet.endpoints import TCP4ClientEndpoint

class Tor:
    def __init__(self, reactor):
        self.reactor = reactor

    def stream_via(self, host, port, tls=False):
        with open(os.environ["STREAMS"], "a") as log:
            log.write(json.dumps([host, port, tls]) + "\\n")
        return TCP4ClientEndpoint(self.reactor, "127.0.0.1", port)

async def connect(reactor, endpoint):
    if "STREAMS" not in os.environ:
        raise RuntimeError("nobody answers")
    return Tor(reactor)
"""
"""As much of txtorcon as is used: a Tor that notes what it is asked for, and knows all names."""

PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from holdfast.cli.main import main
main()
"""
"""`holdfast` with that package; a fork, which another path of Python's would not be."""


def test_everything_goes_through_tor_or_nothing(
    home: Holdfast, mailbox: MailboxServer, tmp_path: Path
) -> None:
    """The mailbox server and the relay; the receiver itself cannot be reached.

    If there is no Tor, nothing is started.
    """
    (tmp_path / "txtorcon.py").write_text(TXTORCON)
    (tmp_path / "offered.bin").write_bytes(b"through tor")
    words = ("receive", "--accept", "--out", tmp_path / "received.bin")

    def receive(code: str, **env: str) -> Child:
        command = [sys.executable, "-c", PROGRAM, tmp_path, *words, code]
        return Child(command, env=home.env(HOLDFAST_TOR="1", **env))

    with receive("4-a-b") as child:
        refused = child.wait()
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "Tor cannot be used: nobody answers; --tor-control-port" in refused.err
    assert not Path(str(home.db)).exists()
    log = tmp_path / "streams"
    place = {"STREAMS": str(log)}
    with running_relay() as relay:
        port = relay.where.rpartition(":")[2]
        place["HOLDFAST_TRANSIT"] = f"tcp:relay.example:{port}"
        stock = ["--relay-url", mailbox.url, "--transit-helper", f"tcp:127.0.0.1:{port}"]
        parcel = ["send", "--hide-progress", "--no-qr", tmp_path / "offered.bin"]
        with Child([BIN / "wormhole", *stock, *parcel]) as sender:
            with receive(code_of(sender), **place) as child:
                ended = child.wait()
            assert ended.status == 0, ended
            assert sender.wait().status == 0
    assert (tmp_path / "received.bin").read_bytes() == b"through tor"
    streams = {tuple(json.loads(line)) for line in log.read_text().splitlines()}
    server = urlsplit(mailbox.url)
    assert streams == {(server.hostname, server.port, False), ("relay.example", int(port), False)}
    # What has begun so goes on so.
    code = "71237-supportive-tapeworm"
    (tmp_path / "received.bin").unlink()
    with receive(code, **place):
        until(lambda: mailbox.tables().nameplates_of([code]), "its claim")
    ended = home.run(*words, code)
    assert (ended.status, ended.out) == (2, "")
    assert "this exchange was started with --tor" in ended.err
