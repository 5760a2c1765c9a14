"""The examples of `docs/dilation.md`."""

import re
from pathlib import Path
from random import Random

import wormhole as stock
from twisted.internet import reactor as real
from twisted.internet.protocol import Factory, Protocol

from tests.docs.conftest import Run
from tests.docs.test_library import CODE
from tests.harness import reactor
from tests.harness.server import MailboxServer

RECORD = 60_000


def test_one_subchannel(run: Run) -> None:
    """The example's two ends use one subchannel, and both end."""
    answering = run("dilated.py")
    code = answering.wait_for(CODE)[1]
    asking = run("dilated.py", code).wait()
    assert (asking.status, asking.out, asking.err) == (0, "the other side says: GOOD DAY\n", "")
    ended = answering.wait()
    assert (ended.status, ended.err) == (0, "")


def test_the_three_endpoints(run: Run) -> None:
    """The control channel and one subchannel, as the first API had them."""
    first = run("dilated_endpoints.py")
    code = first.wait_for(CODE)[1]
    second = run("dilated_endpoints.py", code).wait()
    ended = first.wait()
    assert (second.status, second.err) == (ended.status, ended.err) == (0, "")
    assert second.out == "control: one file comes\nsubchannel: the file\n"
    assert ended.out == f"code: {code}\ncontrol: I am listening\nsubchannel: thanks\n"


def test_received_through_a_kill(run: Run, server: MailboxServer, tmp_path: Path) -> None:
    """Killed while a stock peer sends, the journaled example has the whole file in the end."""
    content = Random(7).randbytes(8_000_000)
    records = [content[at : at + RECORD] for at in range(0, len(content), RECORD)]
    file, saved = tmp_path / "received", tmp_path / "receiving.json"

    async def exchange() -> None:
        first = run("receive_journaled.py")
        code = (await reactor.until(lambda: re.search(CODE, first.out, re.MULTILINE), "the code"))[
            1
        ]
        theirs = stock.create("example.com/receiving", server.url, real, dilation=True)
        opening = theirs.dilate().connector_for("file").connect(Factory.forProtocol(Protocol))
        theirs.set_code(code)
        sending = await opening
        half = len(records) // 2
        for record in records[:half]:
            sending.transport.write(record)
        await reactor.until(lambda: file.exists() and file.stat().st_size > 1_000_000, "a part")
        first.kill9()
        second = run("receive_journaled.py")
        for record in records[half:]:
            sending.transport.write(record)
        sending.transport.loseConnection()
        await reactor.until(lambda: not second.alive, "the end")
        ended = second.wait()
        assert (ended.status, ended.err) == (0, "")
        assert re.fullmatch(
            rf"going on; code: {code}\nbytes so far: \d+\nresult: happy\n", ended.out
        )
        await theirs.close()

    reactor.run(exchange, timeout=60)
    assert file.read_bytes() == content
    assert not saved.exists()
