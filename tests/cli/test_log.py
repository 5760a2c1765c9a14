"""``holdfast log``: what happened to one flow."""

import json
import threading
from pathlib import Path

import pytest

from holdfast.cli.commands import log
from tests.cli.journals import failed, move, open_at, run, start
from tests.harness.process import NO_RELAY, Holdfast
from tests.harness.terminal import Terminal


def test_the_story(tmp_path: Path) -> None:
    """When, how long after the step before, and what happened: nothing of the wire."""
    path = tmp_path / "holdfast.db"
    clock = 1_000_000.0
    journal = open_at(path, lambda: clock)
    flow = start(journal, "ann")["ann"]
    move(flow, "starting", heard="server: nameplate claimed", said=["pake, 81 bytes"])
    move(flow, "waiting", heard="server: has stored our pake")
    clock += 90_061
    move(flow, "exchanging", heard="peer: pake, 81 bytes", said=["version, 60 bytes"])
    journal.close()
    result = run(path, "log", "ann")
    assert result.exit_code == 0, result.output
    header, *lines = (line.split("  ") for line in result.stdout.splitlines())
    assert header[-1] == "WHAT HAPPENED"
    assert [line[-1] for line in lines] == ["code works", "recipient came"]
    assert lines[1][-2] == "+1d 1h"
    works, came = json.loads(run(path, "log", "ann", "--json").stdout)
    assert works["at"] == "1970-01-12T13:46:40.000Z"
    assert (came["what"], came["after"], came["mood"]) == ("recipient came", 90_061, "plain")
    failed(run(path, "log", "ann", "--json", "--follow"), "--follow")
    _, entry, *_ = run(path, "log", "ann", "--wire", "--csv").stdout.splitlines()
    assert (
        entry == '1,1970-01-12T13:46:40.000Z,1,message,server: nameplate claimed,"pake, 81 bytes"'
    )


def test_following_on_a_terminal(tmp_path: Path) -> None:
    """What happens is told as it happens, until the flow is over."""
    home = Holdfast(tmp_path / "home", "ws://127.0.0.1:1", str(tmp_path / "holdfast.db"), NO_RELAY)
    journal = open_at(tmp_path / "holdfast.db")
    flow = start(journal, "ann")["ann"]
    move(flow, "waiting", heard="server: has stored our pake")
    with Terminal(home, "log", "-f", "ann", columns=40) as seen:
        seen.wait_for("code works")
        move(flow, "exchanging", heard="peer: pake, 81 bytes")
        seen.wait_for("recipient came")
        move(flow, "done", finished=True)
        seen.wait_for("ended: done")
        assert seen.wait() == 0
    journal.close()


@pytest.mark.parametrize("wire", [(), ("--wire",)], ids=["story", "wire"])
def test_following_is_ended_by_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wire: tuple[str, ...]
) -> None:
    """Which is no error; what there was is told once."""
    monkeypatch.setattr(log, "EVERY", 0.0)
    looks = threading.Semaphore(2)

    def sleep(_: float) -> None:
        if not looks.acquire(blocking=False):
            raise KeyboardInterrupt

    monkeypatch.setattr(log.time, "sleep", sleep)
    journal = open_at(tmp_path / "holdfast.db")
    move(start(journal, "ann")["ann"], "waiting", heard="peer: pake, 81 bytes", said=["release"])
    journal.close()
    result = run(tmp_path / "holdfast.db", "log", "-f", "ann", *wire)
    assert result.exit_code == 0
    [line] = result.stdout.splitlines()
    assert line.endswith("peer: pake, 81 bytes  -> release" if wire else "recipient came")


def test_each_entry_has_its_line(tmp_path: Path) -> None:
    """Number, time, worker, what came in and what went out; a restart is another worker."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    flow = start(journal, "ann")["ann"]
    move(flow, "waiting", heard="started", said=["allocate"])
    journal.close()
    journal = open_at(path)
    [flow] = journal.take()
    move(flow, "waiting", heard="allocated nameplate 7", said=["claim 7", "open"])
    journal.close()
    result = run(path, "log", "ann", "--wire")
    assert result.exit_code == 0, result.output
    header, first, second = (line.split() for line in result.stdout.splitlines())
    assert header == ["NO", "TIME", "WORKER", "CAME", "IN", "WENT", "OUT"]
    assert (first[0], first[4:]) == ("1", ["started", "allocate"])
    assert (second[0], second[4:]) == ("2", ["allocated", "nameplate", "7", "claim", "7;", "open"])
    assert first[3] != second[3]
    assert "s3cr3t" not in result.output


def test_before_anything_happened(tmp_path: Path) -> None:
    """A flow without entries is no error."""
    journal = open_at(tmp_path / "holdfast.db")
    start(journal, "ann")
    journal.close()
    result = run(tmp_path / "holdfast.db", "log", "ann")
    assert (result.exit_code, result.stdout) == (0, "Nothing has happened yet.\n")


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    """An unknown name is one line and status 2."""
    open_at(tmp_path / "holdfast.db").close()
    failed(run(tmp_path / "holdfast.db", "log", "ann"), "no flow is called 'ann'")
