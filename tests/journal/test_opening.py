"""The ways to open a journal: who runs flows, a short command, who only looks; and as before."""

from pathlib import Path

import pytest

from holdfast_journal import DatabaseUnusable, NewFlow, SqlJournal
from holdfast_journal.upkeep import Upkeep
from tests.journal.helpers import ManualReactor

NEW = [NewFlow("ada", "test", b"p")]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with one flow, and its key file beside it."""
    url = f"sqlite:///{tmp_path}/journal.db"
    journal = SqlJournal.open_inline(url, environ={})
    journal.start_flows("batch", NEW)
    journal.close()
    return url


def test_who_runs_flows(url: str) -> None:
    """It can say for how long flows are kept, and who is to hear that nothing can be taken in."""
    pressed: list[bool] = []
    journal = SqlJournal.open(
        url, reactor=ManualReactor(), environ={}, retain=60.0, on_pressure=pressed.append
    )
    assert [flow.name for flow in journal.take()] == ["ada"]
    assert journal.retain == 60.0
    journal.pressure.fails("test", "it does not answer")
    assert pressed == [True]
    journal.give_back()
    journal.close()


def test_who_only_looks(url: str) -> None:
    """It sees everything, and can start nothing."""
    journal = SqlJournal.look(url, environ={})
    assert [row.name for row in journal.overview()] == ["ada"]
    with pytest.raises(DatabaseUnusable):
        journal.start_flows("batch", [NewFlow("bob", "test", b"p")])
    journal.close()


def test_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is that of an SQLite file, however it is given, and whichever way it is opened."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    journal = SqlJournal.open("flows.db", reactor=ManualReactor(), environ={})
    assert journal.name == f"sqlite:///{tmp_path}/flows.db"
    journal.start_flows("batch", NEW)
    journal.close()
    for path in ("~/flows.db", str(tmp_path / "flows.db"), tmp_path / "flows.db"):
        for way in (SqlJournal.open_inline, SqlJournal.look):
            journal = way(path, environ={})
            assert [row.name for row in journal.overview()] == ["ada"]
            journal.close()
        keeper = Upkeep.open(path, environ={}, looks=True)
        assert keeper.name == f"sqlite:///{tmp_path}/flows.db"
        keeper.close()


def test_as_before(url: str) -> None:
    """What has a name of its own now works by its old one too, and says so."""
    with pytest.warns(DeprecationWarning, match="open_inline"):
        journal = SqlJournal.open(url, environ={}, host="here", retain=5.0)
    assert journal.retain == 5.0
    assert [flow.name for flow in journal.take()] == ["ada"]
    assert [worker.host for worker in journal.workers()] == ["here"]
    journal.close()
    with pytest.warns(DeprecationWarning, match="look"):
        journal = SqlJournal.open(url, environ={}, looks=True)
    with pytest.raises(DatabaseUnusable):
        journal.take()
    journal.close()


def test_kept_for_another_time(url: str) -> None:
    """Whoever sets `retain` afterwards is told where it belongs; what is taken then obeys."""
    journal = SqlJournal.open_inline(url, environ={})
    with pytest.warns(DeprecationWarning, match="retain"):
        journal.retain = 9.0
    [flow] = journal.take()
    assert flow.journal.retain == journal.retain == 9.0
    journal.close()
