"""Invitations to a Tahoe-LAFS grid, to the stock program where it is installed."""

import json
import shutil
from pathlib import Path

import pytest

from tests.harness.process import Child, Holdfast

FURL = "pb://u5bsjnvtqetqpvdgpjw6twxc5jvahtxt@tcp:example.com:41505/introducer"
TAHOE = shutil.which("tahoe")

CODE = r"^bob\t(\d+-\S+)$"


def invite(home: Holdfast, folder: Path) -> Child:
    people = folder / "people.jsonl"
    secret = json.dumps({"introducer": FURL, "shares-needed": 1, "shares-happy": 1})
    people.write_text(json.dumps({"name": "bob", "secret": secret}) + "\n")
    people.chmod(0o600)
    return home.start("provision", people, "--exchange", "tahoe-invite")


@pytest.mark.skipif(TAHOE is None, reason="tahoe-lafs is not installed")
def test_the_stock_program(home: Holdfast, tmp_path: Path) -> None:
    """`tahoe create-client --join` makes a client with what it is told."""
    assert TAHOE is not None
    node = tmp_path / "node"
    with invite(home, tmp_path) as inviter:
        code = inviter.wait_for(CODE)[1]
        words = (f"--wormhole-server={home.relay}", "create-client", f"--join={code}", node)
        with Child([TAHOE, *words]) as client:
            assert client.wait().status == 0, client.describe()
        assert inviter.wait().status == 0
    text = (node / "tahoe.cfg").read_text()
    assert "nickname = bob\n" in text and "shares.total = 10\n" in text
    assert FURL in (node / "private/introducers.yaml").read_text()
