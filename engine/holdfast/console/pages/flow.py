"""The page of one flow: its facts, its story, its tasks, and what operators did to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from holdfast.console.answers import Answer, Wrong, redirect
from holdfast.console.api.routes import flow_of
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.page import Page
from holdfast.console.templating import moment
from holdfast.console.trouble import sentence
from holdfast.console.viewers import Role
from holdfast.operating import bulk
from holdfast.operating.collecting import COLLECTED, receive_command, transfer_uri
from holdfast.operating.facts import LEFT, RATE, SIZES, TIMES, deaths, served_by, trouble
from holdfast.operating.flow_moments import moments
from holdfast.operating.kept import kept_by
from holdfast.operating.qr import qr_svg
from holdfast.operating.refused import Refused
from holdfast.operating.rules import why_not_cancel, why_not_extend, why_not_retry
from holdfast.operating.standing import live_code
from holdfast.operating.story import Story
from holdfast.operating.timing_diagram import drawn
from holdfast_journal import Deeds, Filter, FlowStatus, TaskFilter

if TYPE_CHECKING:
    from markupsafe import Markup

    from holdfast.operating.kept import Kept
    from holdfast_journal import FlowRow, SqlJournal

STEPS: Final = 300
"""How many steps of a story are shown: the last ones."""

DRAWN: Final = 200
"""How many entries are drawn: the last ones."""

DEEDS: Final = 50
"""How many acts of operators are shown: the last ones."""

CODE_SHOWN: Final = 60
"""Seconds after which a code is hidden again."""


@frozen
class ShownCode:
    """A code, and how it is used."""

    code: str = field(repr=False)
    command: str | None = field(default=None, repr=False)
    """What the recipient types."""
    picture: Markup | None = field(default=None, repr=False)
    """What applications scan, as an SVG element."""


def show(asked: Asked, desk: Desk) -> Answer:
    """Show one flow, without its code."""
    return _page(asked, desk, flow_of(asked, desk))


def show_code(asked: Asked, desk: Desk) -> Answer:
    """Show one flow with its code, after that was written down; the browser hides it again."""
    row = flow_of(asked, desk)
    code = live_code(row)
    if code is None:
        raise Wrong(409, "It has no code now.")
    desk.journal.note(asked.actor.does("code shown"), row.id)
    kept = kept_by(desk.journal, row)
    shown = ShownCode(code)
    if kept is not None and row.kind in COLLECTED:
        command = receive_command(code, kept.relay, kept.appid)
        shown = ShownCode(code, command, _picture(code, kept))
    answer = _page(asked, desk, row, shown)
    hides = ("Refresh", f"{CODE_SHOWN}; url=/flows/{row.uid}")
    return Answer(answer.body, headers=[hides])


def cancel(asked: Asked, desk: Desk) -> Answer:
    """Ask the flow to end."""
    row = _allowed(asked, desk, why_not_cancel)
    (outcome,) = bulk.cancel(desk.journal, [row], asked.actor)
    return _done(row, outcome)


def retry(asked: Asked, desk: Desk) -> Answer:
    """Give the flow a new code."""
    force = bool(asked.filled("force"))
    row = _allowed(asked, desk, lambda each: why_not_retry(each, force=force))
    desk.journal.retry(row.name, row.batch, act=asked.actor.does("retry"))
    return _back(row)


def extend(asked: Asked, desk: Desk) -> Answer:
    """Give the flow another deadline, from now on."""
    seconds = asked.seconds("deadline")
    if seconds is None:
        raise Wrong(400, "Say how long the recipient has from now on, such as 12h or 30d.")
    row = _allowed(asked, desk, why_not_extend)
    (outcome,) = bulk.extend(desk.journal, [row], desk.clock() + seconds, asked.actor)
    return _done(row, outcome)


def _allowed(asked: Asked, desk: Desk, rule: Callable[[FlowRow], str | None]) -> FlowRow:
    row = flow_of(asked, desk)
    if (why := rule(row)) is not None:
        raise Wrong(409, sentence(f"it {why}"))
    return row


def _done(row: FlowRow, outcome: bulk.Outcome) -> Answer:
    if not outcome.done:
        raise Wrong(409, sentence(f"it {outcome.words}"))
    return _back(row)


def _back(row: FlowRow) -> Answer:
    return redirect(f"/flows/{row.uid}")


def _page(asked: Asked, desk: Desk, row: FlowRow, shown: ShownCode | None = None) -> Answer:
    journal = desk.journal
    kept = kept_by(journal, row)
    acts = asked.viewer.may(Role.OPERATOR)
    return desk.page(
        asked,
        "flow.html",
        row=row,
        facts=_facts(row, kept, waits_for_room=_waits_for_room(journal, row)),
        trouble=trouble(row),
        steps=deque(Story(journal, row).steps(), STEPS),
        drawing=_drawing(journal, row),
        tasks=journal.tasks(TaskFilter(flows=Filter(ids=[row.id]))).rows,
        deeds=journal.audit(Deeds(flow_uid=row.uid), limit=DEEDS),
        can_cancel=acts and why_not_cancel(row) is None,
        can_retry=acts and why_not_retry(row, force=True) is None,
        may_have_it=acts and why_not_retry(row) is not None,
        can_extend=acts and why_not_extend(row) is None,
        can_see=asked.viewer.may(Role.CODES) and live_code(row) is not None,
        shown=shown,
    )


def _facts(row: FlowRow, kept: Kept | None, *, waits_for_room: bool) -> Sequence[tuple[str, str]]:
    """Return what is known of it, and in which words; nothing that is sealed but its terms."""
    deadline = None if kept is None else kept.deadline
    said = [
        ("kind", row.kind),
        ("attempt", str(row.attempt)),
        ("started", moment(row.created_at)),
        ("changed", moment(row.updated_at)),
        ("finished", "" if row.finished_at is None else moment(row.finished_at)),
        ("deadline", "" if deadline is None else moment(deadline)),
        ("mailbox server", "" if kept is None else kept.relay),
        ("served by", served_by(row, moment, waits_for_room=waits_for_room)),
        ("deaths", deaths(row)),
        *(
            (name, _in_words(name, value))
            for name, value in (row.published or {}).items()
            if name != "code" and value is not None
        ),
        ("uid", row.uid),
    ]
    return [(label, words) for label, words in said if words]


def _in_words(name: str, value: object) -> str:
    if name in TIMES and isinstance(value, float):
        return moment(value)
    if name == RATE and isinstance(value, int):
        return f"{value:,} bytes a second"
    if name == LEFT and isinstance(value, int):
        return f"{value:,} s"
    return f"{value:,} bytes" if name in SIZES and isinstance(value, int) else str(value)


def _waits_for_room(journal: SqlJournal, row: FlowRow) -> bool:
    return row.status == FlowStatus.NEW and bool(journal.notices())


def _drawing(journal: SqlJournal, row: FlowRow) -> Markup | None:
    from markupsafe import Markup

    after = max(0, row.seq - DRAWN)
    found = moments(journal.history_page(row.id, after=after, limit=DRAWN).rows)
    # What is drawn has been escaped there.
    return Markup(drawn(found, found[0].at)) if found else None  # noqa: S704


def _picture(code: str, kept: Kept) -> Markup | None:
    """Return the QR code that applications scan; None if there cannot be one."""
    from markupsafe import Markup

    try:
        return Markup(qr_svg(transfer_uri(code, kept.relay, kept.appid)))  # noqa: S704
    except Refused:
        return None


PAGES = [
    Page("/flows/<uid>", show),
    Page("/flows/<uid>/code", show_code, method="POST", role=Role.CODES),
    Page("/flows/<uid>/cancel", cancel, method="POST", role=Role.OPERATOR),
    Page("/flows/<uid>/retry", retry, method="POST", role=Role.OPERATOR),
    Page("/flows/<uid>/extend", extend, method="POST", role=Role.OPERATOR),
]
