"""What ``holdfast provision`` says at its end, of those whom it has seen and of the others."""

import pytest
from attrs import evolve
from twisted.internet.task import Clock

from holdfast.cli.codes_given import CodesGiven
from holdfast.cli.commands.cancel import LONGEST_SILENCE, Ends
from holdfast.cli.failure import Interrupted, Unfinished
from holdfast.cli.progress import Progress
from holdfast.cli.status_line import StatusLine
from holdfast.operating.choosing import Choice
from holdfast.operating.ending import Ending
from holdfast_journal import FlowRow


def row(name: str, status: str, finished_at: float | None) -> FlowRow:
    return FlowRow(
        id=len(name),
        uid=name,
        name=name,
        batch="default",
        kind="provision",
        status=status,
        attempt=1,
        seq=1,
        request=None,
        created_at=1.0,
        updated_at=1.0,
        finished_at=finished_at,
        published={},
        owner=None,
        owner_host=None,
        owner_pid=None,
        owner_alive=False,
        wake_at=None,
        failures=0,
        trouble=None,
        deaths=0,
    )


def progress() -> Progress:
    names, line = ["ann", "robert"], StatusLine()
    given = CodesGiven("default", names, line)
    return Progress(names, line, given, ["All codes are there.", "Delete it."])


@pytest.mark.parametrize("ending", list(Ending))
def test_nobody_was_seen(ending: Ending, capsys: pytest.CaptureFixture[str]) -> None:
    """However it ended: whoever was not seen has not collected, and the exit status says so."""
    with pytest.raises((Unfinished, Interrupted)) as ended:
        progress().end(ending)
    assert ended.value.exit_code in (1, 130)
    assert capsys.readouterr().err == "2 flows: 2 not looked at yet.\n"


def test_some_were_seen(capsys: pytest.CaptureFixture[str]) -> None:
    """One who has collected says nothing about the other."""
    shown = progress()
    assert not shown.watch([row("ann", "done", 2.0)])
    with pytest.raises(Unfinished, match="and 1 have not collected"):
        shown.end(Ending.TIME)
    assert capsys.readouterr().err.endswith("2 flows: 1 done, 1 not looked at yet.\n")


def test_everybody_has_collected(capsys: pytest.CaptureFixture[str]) -> None:
    """That everybody was seen, and each is done, is the one success."""
    shown = progress()
    assert shown.watch([row("ann", "done", 2.0), row("robert", "done", 2.0)])
    shown.end(Ending.DONE)
    assert capsys.readouterr().err.endswith("2 flows: 2 done.\n")


def test_a_wrong_guess_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """When it happens, and when the same code works again."""
    shown = progress()
    once = evolve(row("ann", "starting", None), published={"guesses": "1 of 2 were wrong"})
    shown.watch([row("ann", "waiting", None)])
    shown.watch([once])
    shown.watch([evolve(once, status="waiting")])
    shown.watch([evolve(once, status="scared", finished_at=2.0, published={"guesses": "2 of 2"})])
    told = capsys.readouterr().err
    assert told.count("ann: wrong code; 1 of 2 were wrong, and the same code opens again\n") == 1
    assert told.count("opens again") == 1
    assert told.count("ann: the same code works again\n") == 1
    assert "ann: wrong code\n" in told


def test_all_codes_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Said once, when everybody has a code or is over, and not when nobody is waited for."""
    shown = progress()
    coded = evolve(row("ann", "waiting", None), published={"code": "7-a-b"})
    shown.watch([coded, row("robert", "starting", None)])
    assert "All codes" not in capsys.readouterr().err
    shown.watch([row("robert", "failed", 2.0)])
    shown.watch([evolve(coded, seq=2)])
    assert capsys.readouterr().err.count("All codes are there.\nDelete it.\n") == 1
    over = progress()
    over.watch([row("ann", "done", 2.0), row("robert", "done", 2.0)])
    assert "All codes" not in capsys.readouterr().err


def test_many_are_cancelled_while_some_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 100,000 each may take its time, but a server that frees none is not waited for long."""
    waiting = [row(name, "waiting", None) for name in ("ann", "robert")]
    clock = Clock()
    ends = Ends(Choice(), {each.id: each for each in waiting}, clock.seconds)
    clock.advance(2 * LONGEST_SILENCE)  # to read 100,000 rows may take as long
    assert not ends.watch([])
    clock.advance(LONGEST_SILENCE - 1)
    assert not ends.watch([row("ann", "cancelled", 2.0)])
    clock.advance(LONGEST_SILENCE - 1)
    assert not ends.watch([])
    clock.advance(2)
    assert ends.watch([])
    assert list(ends.waiting) == [len("robert")]
    assert capsys.readouterr().out == "'default/ann' is cancelled.\n"
