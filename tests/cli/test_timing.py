"""``--dump-timing`` and ``holdfast timing``: who said what when, as a page."""

import json
from html.parser import HTMLParser
from pathlib import Path

from click.testing import CliRunner

from holdfast.cli.main import holdfast
from holdfast.timing import read
from tests.cli.conftest import mistyped
from tests.cli.journals import failed, run
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import until


def test_a_sent_text_is_recorded_and_drawn(
    home: Holdfast, stock: StockReceivers, tmp_path: Path
) -> None:
    """A recording of a text that was sent becomes a page, and holds neither code nor text."""
    recorded, page = tmp_path / "sent.json", tmp_path / "page.html"
    with home.start("send", "--dump-timing", recorded, "--text", "SECRETTEXT") as child:
        code = child.wait_for(r"^(\d+-\S+)\n")[1]
        assert stock.wait(stock.receive(code)).ok
        assert child.wait().status == 0
    text = recorded.read_text()
    moments = read(text)
    assert {"asked", "told", "said", "heard", "connection"} == {each.way for each in moments}
    assert "close the mailbox, happy" in [each.what for each in moments]
    assert not any(secret in text for secret in ("SECRETTEXT", code, *code.split("-")[1:]))
    ran = run(tmp_path / "none.db", "timing", str(recorded), str(recorded), "--out", str(page))
    assert (ran.exit_code, ran.stdout) == (0, f"drawn: {page}\n")
    assert page.read_text().count("<svg ") == 2
    HTMLParser().feed(page.read_text())


def test_a_failure_is_recorded_too(home: Holdfast, stock: StockReceivers, tmp_path: Path) -> None:
    """Wrong words end the command with status 1, and the recording is written all the same."""
    recorded = tmp_path / "sent.json"
    with home.start("send", "--dump-timing", recorded, "--text", "text") as child:
        mistyped(stock, child.wait_for(r"^(\d+-\S+)\n")[1])
        assert child.wait().status == 1
    assert "close the mailbox, scary" in [each.what for each in read(recorded.read_text())]


def test_receive_records_an_interrupted_wait(
    home: Holdfast, mailbox: MailboxServer, tmp_path: Path
) -> None:
    """Ctrl-C while nobody is there: what was recorded until then is in the file."""
    recorded = tmp_path / "received.json"
    with home.start("receive", "--dump-timing", recorded, "8765-no-body") as child:
        until(lambda: mailbox.tables().nameplates_of(["8765-no-body"]), "its claim")
        child.interrupt()
        assert child.wait().status == 130
    assert "claim the nameplate" in [each.what for each in read(recorded.read_text())]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """Nothing is started if the recording has nowhere to go."""
    recorded = str(tmp_path / "none" / "x.json")
    for words in (["send", "--text", "text"], ["receive", "4-purple-sausages"]):
        ran = run(tmp_path / "holdfast.db", *words, "--dump-timing", recorded)
        failed(ran, f"--dump-timing: {recorded}: No such file")


def test_what_is_no_recording(tmp_path: Path) -> None:
    """Files that are no recordings are told in one line, and no page is written."""
    page = tmp_path / "page.html"
    path = tmp_path / "recording"
    for content, said in [
        (b"", "not a recording"),
        (b"\xff", "not a text"),
        (b"{}", "not a recording"),
        (b'{"version": 2, "moments": []}', "another release"),
        (b'{"version": 1, "moments": [[1, "sung", "x"]]}', "another release"),
        (b'{"version": 1, "moments": [[1, "said"]]}', "not a recording"),
        (b"[" * 100_000, "not a recording"),
    ]:
        path.write_bytes(content)
        ran = CliRunner().invoke(holdfast, ["timing", str(path), "--out", str(page)])
        failed(ran, said)
    failed(CliRunner().invoke(holdfast, ["timing", str(tmp_path / "none")]), "No such file")
    path.write_text(json.dumps({"version": 1, "moments": []}))
    nowhere = str(tmp_path / "none" / "page.html")
    failed(CliRunner().invoke(holdfast, ["timing", str(path), "--out", nowhere]), "No such file")
    assert not page.exists()
