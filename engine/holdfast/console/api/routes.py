"""The operations of the API: each a function that blocks, and its line in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from holdfast.console.answers import Answer, Wrong, as_json
from holdfast.console.api import jobs, schemas
from holdfast.console.api.failing import FAILS, NO_FLOW
from holdfast.console.api.route import Route, json_object
from holdfast.console.asked import Asked
from holdfast.console.choosing import choice_of, cursor_of, cursor_text, sort_of
from holdfast.console.desk import Desk
from holdfast.console.templating import iso
from holdfast.console.trouble import sentence
from holdfast.console.viewers import Role
from holdfast.operating.batches import (
    StartedDifferently,
    Terms,
    check_names,
    checked_batch,
    start_batch,
)
from holdfast.operating.bulk import cancel
from holdfast.operating.coding import AskedCode
from holdfast.operating.finding import DEFAULT_BATCH
from holdfast.operating.people import one_person
from holdfast.operating.rules import why_not_cancel, why_not_retry
from holdfast.operating.standing import live_code
from holdfast_journal import Filter

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

ON_A_PAGE: Final = 100
MOST_ON_A_PAGE: Final = 1000


def start(asked: Asked, desk: Desk) -> Answer:
    """Start a flow, once: the same name with the same secret is the same flow."""
    sent = json_object(asked, schemas.NEW)
    name = sent.get("name") or asked.headers.get("idempotency-key", "")
    person = one_person(name, sent["secret"])
    batch = checked_batch(sent.get("batch", DEFAULT_BATCH))
    expires = sent.get("expires_in")
    terms = Terms(
        desk.relay,
        desk.appid,
        None if expires is None else desk.clock() + expires,
        0.0,
        AskedCode(words=sent.get("words"), guesses=sent.get("guesses", 1)),
        hooks=desk.hooks,
    )
    for words in desk.hooks.commands:
        check_names([person], words, "")
    by = asked.viewer.actor()
    try:
        existing = start_batch(desk.journal, batch, [person], None, "", terms, by, own=False)
    except StartedDifferently:
        raise Wrong(409, "This name was started with another secret.") from None
    (row,) = desk.journal.named(batch, [person.name])
    location = ("Location", f"/api/v1/flows/{row.uid}")
    return as_json(facts_of(row), 200 if existing else 201, headers=[location])


def find_all(asked: Asked, desk: Desk) -> Answer:
    """List flows, page by page."""
    limit = asked.number("limit", ON_A_PAGE, MOST_ON_A_PAGE)
    after = cursor_of(asked.one("after"))
    page = desk.journal.page(choice_of(asked).filter(), sort_of(asked), limit=limit, after=after)
    flows = [facts_of(row) for row in page.rows]
    return as_json({"flows": flows, "next": cursor_text(page.then) or None})


def find_one(asked: Asked, desk: Desk) -> Answer:
    """Show one flow, with what it shows of itself."""
    return as_json(facts_of(flow_of(asked, desk)))


def cancel_one(asked: Asked, desk: Desk) -> Answer:
    """Ask a flow to end."""
    row = flow_of(asked, desk)
    if (why := why_not_cancel(row)) is not None:
        raise Wrong(409, sentence(f"it {why}"))
    (outcome,) = cancel(desk.journal, [row], asked.viewer.actor())
    if not outcome.done:
        raise Wrong(409, sentence(f"it {outcome.words}"))
    return as_json(facts_of(flow_of(asked, desk)), 202)


def retry_one(asked: Asked, desk: Desk) -> Answer:
    """Give a flow that failed a new code."""
    sent = json_object(asked, schemas.ASKED_RETRY)
    row = flow_of(asked, desk)
    if (why := why_not_retry(row, force=sent.get("force", False))) is not None:
        raise Wrong(409, sentence(f"it {why}"))
    desk.journal.retry(row.name, row.batch, act=asked.viewer.actor().does("retry"))
    return as_json(facts_of(flow_of(asked, desk)), 202)


def show_code(asked: Asked, desk: Desk) -> Answer:
    """Show the code of a flow; that this was done is written down first."""
    row = flow_of(asked, desk)
    code = live_code(row)
    if code is None:
        raise Wrong(409, "It has no code now.")
    desk.journal.note(asked.viewer.actor().does("code shown"), row.id)
    return as_json({"code": code})


def flow_of(asked: Asked, desk: Desk) -> FlowRow:
    """Return the flow whose uid is in the path, opened. Raises Wrong."""
    found = desk.journal.page(Filter(uids=[asked.args["uid"]]), limit=1, opens=True).rows
    if not found:
        raise Wrong(404, "There is no such flow.")
    return found[0]


def facts_of(row: FlowRow) -> Mapping[str, Any]:
    """Return what programs are told of a flow: never its code, and nothing secret."""
    facts = None if row.published is None else dict(row.published)
    if facts is not None:
        facts.pop("code", None)
    return {
        "uid": row.uid,
        "batch": row.batch,
        "name": row.name,
        "kind": row.kind,
        "status": row.status,
        "request": row.request,
        "attempt": row.attempt,
        "started_at": iso(row.created_at),
        "changed_at": iso(row.updated_at),
        "finished_at": None if row.finished_at is None else iso(row.finished_at),
        "trouble": row.trouble,
        "facts": facts,
    }


_CHOICE: Final = {
    "q": "A part of the name, or a pattern with * and ?.",
    "name": "Exactly this name; may be repeated.",
    "status": "As with `holdfast status --status`; may be repeated.",
    "kind": "Exactly this kind; may be repeated.",
    "batch": "Exactly this batch.",
    "since": "A duration such as 8h: flows that moved or ended since then.",
    "sort": "trouble, changed, name or started.",
    "limit": f"At most so many flows, up to {MOST_ON_A_PAGE}.",
    "after": "The `next` of the page before.",
}

ROUTES: Final[Sequence[Route]] = (
    Route(
        "POST",
        "/flows",
        "startFlow",
        start,
        Role.OPERATOR,
        "Start a flow: the recipient will get the secret for a code.",
        {
            201: ("The flow was started.", schemas.FLOW),
            200: ("It was started before, with the same secret.", schemas.FLOW),
            409: ("The name was started with another secret.", schemas.ERROR),
            **FAILS,
        },
        body=schemas.NEW,
        headers={"Idempotency-Key": "The name of the flow, if the body has none."},
    ),
    Route(
        "GET",
        "/flows",
        "listFlows",
        find_all,
        Role.VIEWER,
        "List flows, page by page.",
        {200: ("A page.", schemas.FLOWS), **FAILS},
        query=_CHOICE,
    ),
    Route(
        "GET",
        "/flows/<uid>",
        "getFlow",
        find_one,
        Role.VIEWER,
        "Show one flow.",
        {200: ("The flow.", schemas.FLOW), **NO_FLOW, **FAILS},
    ),
    Route(
        "POST",
        "/flows/<uid>/cancel",
        "cancelFlow",
        cancel_one,
        Role.OPERATOR,
        "Ask a flow to end; its code is taken back, and its secret made unreadable.",
        {
            202: ("It was asked to end.", schemas.FLOW),
            409: ("It has ended already.", schemas.ERROR),
            **NO_FLOW,
            **FAILS,
        },
    ),
    Route(
        "POST",
        "/flows/<uid>/retry",
        "retryFlow",
        retry_one,
        Role.OPERATOR,
        "Give a flow that failed a new code.",
        {
            202: ("It begins anew.", schemas.FLOW),
            409: ("It cannot be retried.", schemas.ERROR),
            **NO_FLOW,
            **FAILS,
        },
        body=schemas.ASKED_RETRY,
    ),
    Route(
        "POST",
        "/flows/<uid>/code",
        "showCode",
        show_code,
        Role.CODES,
        "Show the code of a flow; the audit says who saw it.",
        {
            200: ("The code.", schemas.CODE),
            409: ("It has no code now.", schemas.ERROR),
            **NO_FLOW,
            **FAILS,
        },
    ),
    *jobs.ROUTES,
)
