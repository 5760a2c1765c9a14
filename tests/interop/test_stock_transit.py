"""The installed `wormhole` command, of the magic-wormhole package, by way of our relay."""

from pathlib import Path

from tests.harness.peers import code_of
from tests.harness.process import BIN, Child, Holdfast


def test_a_file_through_our_relay(home: Holdfast, tmp_path: Path) -> None:
    """Two stock clients that cannot reach each other directly exchange a file through it."""
    content = bytes(range(256)) * 4000
    (tmp_path / "sent").write_bytes(content)
    with home.start("relay", "--listen", "127.0.0.1:0") as relay:
        transit = relay.wait_for(r"^transit relay: (tcp:\S+)$")[1]
        wormhole = (BIN / "wormhole", "--relay-url", str(home.relay), "--transit-helper", transit)
        options = ("--hide-progress", "--no-listen")
        sent, received = tmp_path / "sent", tmp_path / "received"
        with Child([*wormhole, "send", *options, "--no-qr", sent]) as sender:
            words = [*options, "--accept-file", "--output-file", received, code_of(sender)]
            with Child([*wormhole, "receive", *words]) as receiver:
                assert receiver.wait().status == 0
            assert sender.wait().status == 0
    assert received.read_bytes() == content
