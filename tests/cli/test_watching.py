"""``holdfast status --watch``: on a terminal, again and again, until Ctrl-C."""

from pathlib import Path

import pytest

from holdfast.cli import watching
from tests.cli.journals import failed, move, open_at, run, start
from tests.harness.process import NO_RELAY, Holdfast
from tests.harness.terminal import Terminal

HOME = "\x1b[H"


def test_on_a_terminal(tmp_path: Path) -> None:
    """What fits on the screen is shown from its top; Ctrl-C ends it well."""
    home = Holdfast(tmp_path / "home", "ws://127.0.0.1:1", str(tmp_path / "holdfast.db"), NO_RELAY)
    journal = open_at(tmp_path / "holdfast.db")
    flows = start(journal, *(f"p{number:02}" for number in range(40)))
    for flow in flows.values():
        move(flow, "waiting", code="7-a-b")
    journal.close()
    with Terminal(home, "status", "--watch", "--sort", "name", columns=40) as seen:
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
