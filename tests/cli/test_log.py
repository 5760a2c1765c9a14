"""``holdfast log``: what happened to one flow."""

from pathlib import Path

from tests.cli.journals import failed, move, open_at, run, start


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
    result = run(path, "log", "ann")
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
