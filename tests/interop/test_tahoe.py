"""Invitations to a Tahoe-LAFS grid, to a test peer and to the stock program where that is."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import wormhole as stock
from twisted.internet import reactor as real

from tests.harness import reactor
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


async def joined(url: str, code: str) -> list[Any]:
    """Do what the stock program does with a code; return what it hears."""
    client = stock.create("tahoe-lafs.org/invite", url, real)
    client.set_code(code)
    client.send_message(json.dumps({"abilities": {"client-v1": {}}}).encode())
    heard = [json.loads(await client.get_message()) for _ in range(2)]
    await client.close()
    return heard


def test_a_client(home: Holdfast, tmp_path: Path) -> None:
    """Killed and started again, the command has the same code, and hands out once."""
    with invite(home, tmp_path) as first:
        code = first.wait_for(CODE)[1]
        assert f"tahoe --wormhole-server={home.relay} create-client --join=CODE" in first.err
        first.kill9()
    with invite(home, tmp_path) as second:
        said, told = reactor.run(lambda: joined(str(home.relay), code))
        assert second.wait().status == 0
    assert said == {"abilities": {"server-v1": {}}}
    assert (told["introducer"], told["nickname"], told["shares-total"]) == (FURL, "bob", 10)


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
