"""What operators do is written down where it happens, and tokens open nothing from the database."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from holdfast_journal import CANCEL, Actor, Deed, Deeds, NewFlow, SqlJournal
from holdfast_journal.auditing.tokens import PREFIX
from holdfast_journal.errors import TokenExists
from holdfast_journal.store.schema import tokens
from tests.cli.journals import move
from tests.journal.conftest import Journals
from tests.journal.helpers import at_commit, disk_failed

ADA = Actor("ada", "desk", "command", "they asked")
NAMES = ("ann", "bob")


@pytest.fixture
def journal(url: str, journals: Journals) -> SqlJournal:
    """Two flows that nobody started by a command."""
    journal = journals.open(url)
    journal.start_flows("batch", [NewFlow(each, "test", b"params") for each in NAMES])
    return journal


def ids(journal: SqlJournal) -> list[int]:
    return [row.id for row in journal.overview()]


def fail(journal: SqlJournal) -> None:
    for flow in journal.take():
        move(flow, "failed", finished=True)


def start(journal: SqlJournal) -> None:
    new = [NewFlow(each, "test", b"params") for each in (*NAMES, "cleo")]
    journal.start_flows("batch", new, act=ADA.does("start"))


def cancel(journal: SqlJournal) -> None:
    list(journal.ask_all(ids(journal), CANCEL, act=ADA.does("cancel")))


def cancel_one(journal: SqlJournal) -> None:
    journal.ask("ann", None, CANCEL, act=ADA.does("cancel"))


def change(journal: SqlJournal) -> None:
    act = ADA.does("extend", "until tomorrow")
    list(journal.change(ids(journal), lambda params: params + b"!", "x", act=act))


def retry(journal: SqlJournal) -> None:
    fail(journal)
    journal.plan_retries("plan", dict.fromkeys(ids(journal), 1))
    list(journal.retry_planned("plan", act=ADA.does("retry")))


def retry_one(journal: SqlJournal) -> None:
    fail(journal)
    journal.retry("ann", "batch", act=ADA.does("retry"))


def show(journal: SqlJournal) -> None:
    journal.note(ADA.does("code shown"), *ids(journal))


DEEDS = [
    (start, "start", ["cleo"]),
    (cancel, "cancel", ["ann", "bob"]),
    (cancel_one, "cancel", ["ann"]),
    (change, "extend", ["ann", "bob"]),
    (retry, "retry", ["ann", "bob"]),
    (retry_one, "retry", ["ann"]),
    (show, "code shown", ["ann", "bob"]),
]


@pytest.mark.parametrize(
    ("do", "action", "names"), DEEDS, ids=lambda each: getattr(each, "__name__", "")
)
def test_what_is_done_is_written_down(
    journal: SqlJournal, do: Callable[[SqlJournal], None], action: str, names: list[str]
) -> None:
    """Each flow to which something was done has a row, and no other has."""
    do(journal)
    found = journal.audit(Deeds())
    assert [(each.action, each.name, each.batch) for each in reversed(found)] == [
        (action, name, "batch") for name in names
    ]
    uids = {row.name: row.uid for row in journal.overview()}
    assert [each.flow_uid for each in reversed(found)] == [uids[name] for name in names]
    first = found[0]
    assert (first.who, first.origin, first.face, first.why) == (
        "ada",
        "desk",
        "command",
        "they asked",
    )


def test_nothing_is_written_if_nothing_happened(journal: SqlJournal) -> None:
    """Nothing is done to flows that are over, or at a commit that fails; and nothing is written."""
    fail(journal)
    cancel(journal)
    cancel_one(journal)
    start_again = [NewFlow(each, "test", b"params") for each in NAMES]
    journal.start_flows("batch", start_again, act=ADA.does("start"))
    assert not journal.drain(99, act=ADA.does("drain"))
    assert journal.audit(Deeds()) == []


def test_an_act_and_its_row_are_one_commit(journals: Journals) -> None:
    """If the commit fails, neither is there."""
    journal = journals.open("sqlite://")
    journal.start_flows("batch", [NewFlow("ann", "test", b"params")])

    def fails(_: object) -> None:
        raise disk_failed()

    with at_commit(fails), pytest.raises(Exception, match="disk"):
        cancel(journal)
    assert journal.audit(Deeds()) == []
    assert journal.overview()[0].request is None


def test_the_audit_in_pages(journal: SqlJournal) -> None:
    """The newest come first, and a page begins behind the last deed of the one before."""
    for number in range(5):
        journal.note(Actor(f"who {number % 2}", "here", "page").does("login", str(number)))
    journal.note(ADA.does("code shown"), ids(journal)[0])
    found: list[Deed] = []
    before: int | None = None
    while page := journal.audit(Deeds(before=before), limit=2):
        found += page
        before = page[-1].id
    assert [each.detail for each in found] == ["", "4", "3", "2", "1", "0"]
    assert [each.detail for each in journal.audit(Deeds(who="who 1"))] == ["3", "1"]
    assert [each.detail for each in journal.audit(Deeds(action="login"), limit=1)] == ["4"]
    uid = journal.overview()[0].uid
    for meant in (Deeds(flow_uid=uid), Deeds(name="ann"), Deeds(batch="batch")):
        assert [each.name for each in journal.audit(meant)] == ["ann"]


def test_a_worker_is_asked_to_leave_once(journal: SqlJournal) -> None:
    """Only the first time counts."""
    journal.take()
    (worker,) = journal.workers()
    assert journal.drain(worker.id, act=ADA.does("drain", "worker 1"))
    assert not journal.drain(worker.id, act=ADA.does("drain", "worker 1"))
    assert [each.action for each in journal.audit(Deeds())] == ["drain"]


def test_tokens(journal: SqlJournal) -> None:
    """A token is good until it is revoked, and what the database holds of it opens nothing."""
    made = journal.tokens.make("shop", "operator", None, ADA)
    assert made.startswith(PREFIX)
    with journal._database.reading() as connection:
        stored = connection.execute(select(tokens)).one()
    assert made not in repr(stored)
    found = journal.tokens.find(made)
    assert found is not None
    assert (found.name, found.role) == ("shop", "operator")
    (listed,) = journal.tokens.all()
    assert listed.last_used_day == int(journal._clock() // 86400)
    for wrong in ("", made[:-1], stored.hash, "\udce4"):
        assert journal.tokens.find(wrong) is None
    with pytest.raises(TokenExists):
        journal.tokens.make("shop", "viewer", None, ADA)
    assert journal.tokens.revoke("shop", ADA)
    assert not journal.tokens.revoke("shop", ADA)
    assert journal.tokens.find(made) is None
    assert [each.action for each in journal.audit(Deeds())] == ["token revoked", "token made"]


def test_a_token_that_expired(journal: SqlJournal) -> None:
    """It cannot be used, nor revoked."""
    made = journal.tokens.make("old", "viewer", journal._clock(), ADA)
    assert journal.tokens.find(made) is None
    assert not journal.tokens.revoke("old", ADA)
