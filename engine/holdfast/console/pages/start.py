"""Starting flows: for one person, or for the people of a file, which is shown first."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Final

from holdfast.console.answers import Answer, Wrong, redirect
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.drafts import Draft
from holdfast.console.page import Page
from holdfast.console.templating import address
from holdfast.console.trouble import sentence
from holdfast.console.viewers import Role
from holdfast.operating.batches import (
    StartedDifferently,
    Terms,
    check_names,
    checked_batch,
    start_batch,
    started_before,
)
from holdfast.operating.coding import MOST_GUESSES, MOST_WORDS, AskedCode
from holdfast.operating.finding import DEFAULT_BATCH
from holdfast.operating.people import Person, examine, one_person
from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused
from holdfast.operating.standing import shown_word

MOST_PEOPLE: Final = 10_000
"""In one file; commands take more."""

MOST_SHOWN: Final = 50
MOST_ERRORS: Final = 20


def show(asked: Asked, desk: Desk) -> Answer:
    """Show both forms."""
    return _form(asked, desk)


def start_one(asked: Asked, desk: Desk) -> Answer:
    """Start a flow for one person, and show it."""
    try:
        # Browsers send each line's end as two characters.
        secret = asked.filled("secret").replace("\r\n", "\n")
        person = one_person(asked.filled("name"), secret)
        _check_names(desk, [person])
        batch = checked_batch(asked.filled("batch") or DEFAULT_BATCH)
        terms = _terms(desk, asked.seconds("deadline"), _code(asked))
        start_batch(desk.journal, batch, [person], None, "", terms, asked.actor, own=False)
    except StartedDifferently:
        return _form(asked, desk, "This name was started in that batch with another secret.", 409)
    except Refused as error:
        return _form(asked, desk, sentence(error.words), 400)
    except Wrong as wrong:
        return _form(asked, desk, wrong.words, wrong.status)
    (row,) = desk.journal.named(batch, [person.name])
    return redirect(f"/flows/{row.uid}")


def look_at_file(asked: Asked, desk: Desk) -> Answer:
    """Show who is in a file and what is wrong with it; nobody is started yet."""
    sent = asked.upload("people")
    if not sent:
        return _form(asked, desk, "No file was chosen, or it is empty.", 400)
    try:
        batch = checked_batch(asked.filled("batch") or DEFAULT_BATCH)
        lasts, code = asked.seconds("deadline"), _code(asked)
        people, wrong = examine(
            BytesIO(sent),
            "the file",
            name_column=asked.filled("name_column") or "name",
            secret_column=asked.filled("secret_column") or "secret",
        )
        _check_names(desk, people, "the file")
    except Refused as error:
        return _form(asked, desk, sentence(error.words), 400)
    except Wrong as error:
        return _form(asked, desk, error.words, error.status)
    same, others = started_before(desk.journal, batch, people)
    lines = {person.name: person.line for person in people}
    errors = [each.words for each in wrong]
    errors += [
        f"line {lines[old.name]}: {quoted(old.name)} was started in this batch with another secret"
        f" (it is {shown_word(old.status)})"
        for old in others
    ]
    if len(people) > MOST_PEOPLE:
        errors.append(f"more than {MOST_PEOPLE} people; 'holdfast add' takes any number")
    key = ""
    if not errors:
        key = desk.drafts.keep(Draft(asked.viewer.csrf, batch, people, len(sent), lasts, code))
    return desk.page(
        asked,
        "people.html",
        status=400 if errors else 200,
        key=key,
        batch=batch,
        count=len(people),
        before=len(same),
        people=[(each.line, each.name, len(each.secret or "")) for each in people[:MOST_SHOWN]],
        errors=errors[:MOST_ERRORS],
        more_errors=max(0, len(errors) - MOST_ERRORS),
        notice=code.notice,
    )


def start_file(asked: Asked, desk: Desk) -> Answer:
    """Start the people of a file that was shown; a second time changes nothing."""
    key = asked.filled("draft")
    draft = desk.drafts.find(key, asked.viewer.csrf)
    if draft.people:
        terms = _terms(desk, draft.lasts, draft.code)
        try:
            start_batch(
                desk.journal, draft.batch, draft.people, None, "", terms, asked.actor, own=False
            )
        except StartedDifferently:
            words = (
                "Somebody in this list was started meanwhile with another secret; send it again."
            )
            raise Wrong(409, words) from None
        desk.drafts.empty(key)
    return redirect(address("/flows", batch=draft.batch))


def _terms(desk: Desk, lasts: float | None, code: AskedCode) -> Terms:
    deadline = None if lasts is None else desk.clock() + lasts
    return Terms(desk.relay, desk.appid, deadline, 0.0, code, hooks=desk.hooks)


def _check_names(desk: Desk, people: Sequence[Person], source: str = "") -> None:
    """Refuse names that a command of a hook would take for an option."""
    for words in desk.hooks.commands:
        check_names(people, words, source)


def _code(asked: Asked) -> AskedCode:
    words = _number(asked, "words", MOST_WORDS)
    return AskedCode(words=words, guesses=_number(asked, "guesses", MOST_GUESSES) or 1)


def _number(asked: Asked, name: str, most: int) -> int | None:
    said = asked.filled(name).strip()
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 5 and 1 <= int(said) <= most):
        raise Wrong(400, f"{name}: this is not a whole number from 1 to {most}")
    return int(said)


def _form(asked: Asked, desk: Desk, words: str = "", status: int = 200) -> Answer:
    return desk.page(
        asked,
        "start.html",
        status=status,
        words=words,
        default_batch=DEFAULT_BATCH,
        most_words=MOST_WORDS,
        most_guesses=MOST_GUESSES,
    )


PAGES = [
    Page("/start", show, role=Role.OPERATOR, menu="Start"),
    Page("/start", start_one, method="POST", role=Role.OPERATOR),
    Page("/start/people", look_at_file, method="POST", role=Role.OPERATOR),
    Page("/start/people/all", start_file, method="POST", role=Role.OPERATOR),
]
