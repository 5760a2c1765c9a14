"""``holdfast status --watch``: on a terminal, again and again, until Ctrl-C."""

from pathlib import Path

import pytest

from holdfast.cli import watching
from tests.cli.journals import failed, move, open_at, run, start
from tests.harness.process import Holdfast
from tests.harness.terminal import Terminal

HOME = "\x1b[H"


@pytest.mark.parametrize("columns", [80, 40])
def test_on_a_terminal(home: Holdfast, columns: int) -> None:
    """What fits on the screen is shown from its top; Ctrl-C ends it well."""
    journal = open_at(Path(str(home.db)))
    flows = start(journal, *(f"p{number:02}" for number in range(40)))
    for flow in flows.values():
        move(flow, "waiting", code="7-a-b")
    journal.close()
    with Terminal(home, "status", "--watch", "--sort", "name", columns=columns) as seen:
        seen.wait_for("40 flows: 40 waiting.")
        seen.wait_for("Of these, 16 are shown")
        seen.interrupt()
        assert seen.wait() == 0
    assert seen.written.startswith(HOME)
    assert "p15" in seen.written and "p16" not in seen.written


def test_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look begins at the top of the screen."""
    monkeypatch.setattr(watching, "EVERY", 0.0)
    looks = iter("ab")

    def show() -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt

    watching.watch(show)
    assert next(looks, None) is None


def test_nothing_is_watched_in_a_pipe(tmp_path: Path) -> None:
    """Nor for programs."""
    open_at(tmp_path / "holdfast.db").close()
    failed(run(tmp_path / "holdfast.db", "status", "--watch"), "--watch needs a terminal")
    failed(run(tmp_path / "holdfast.db", "status", "--watch", "--json"), "--watch is for people")
