"""The examples of `docs/dilation.md`."""

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
import wormhole as stock
from twisted.internet import reactor as real
from twisted.internet.protocol import Factory, Protocol

import holdfast
from holdfast.dilation import channel, closing, ledger, level, records
from holdfast.testing import URL, World
from tests.docs.conftest import DOCS, Run
from tests.docs.test_library import CODE
from tests.harness import reactor
from tests.harness.server import MailboxServer

pytestmark = pytest.mark.long

RECORD = 60_000
MIB = 2**20


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


@pytest.mark.parametrize("crash", [20, 22])
def test_kept_by_a_flow(tmp_path: Path, keep_file: Any, crash: int) -> None:
    """Whenever its process dies, the flow of the manual has the whole file in the end."""
    file = tmp_path / "kept"
    records = [bytes([number]) * 30_000 for number in range(6)]
    with World() as world:
        world.crash_after(crash)
        world.start(keep_file.KeepFile(path=str(file)))
        theirs = holdfast.create(keep_file.KeepFile.appid, URL, world.clock)
        opening = theirs.dilate().connector_for("file").connect(Factory.forProtocol(Protocol))
        theirs.set_code(world.code())
        world.until(lambda: opening.called)
        for record in records:
            opening.result.transport.write(record)
            world.advance(0.5)
        opening.result.transport.loseConnection()
        world.until(world.finished)
        assert (world.status(), world.crashes) == ("done", 1)
    assert file.read_bytes() == b"".join(records)


def test_the_limits() -> None:
    """Those that the page names are those of the code."""
    table = (DOCS / "dilation.md").read_text().partition("## Limits")[2].partition("##")[0]
    limits = {
        "67,092,455 bytes": channel.LONGEST == 67_092_455,
        "10,000; more are closed at once": ledger.MOST_CHANNELS == 10_000,
        "1 MiB; then": ledger.MOST_HELD == MIB,
        "16 MiB; with": level.WINDOW == 16 * MIB,
        "32 MiB, of which 1 MiB": (level.STORED_WINDOW, level.PAYLOAD) == (32 * MIB, MIB),
        "| 256 bytes": records.LONGEST_NAME == 256,
        "4 thousand million": ledger.LAST == 2**32 - 1,
        "10 seconds": closing.CLOSING_TIME == 10.0,
    }
    assert {words: words in table and so for words, so in limits.items()} == dict.fromkeys(
        limits, True
    )
