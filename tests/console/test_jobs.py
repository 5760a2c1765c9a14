"""Many flows at once: asked for on a page or by the API, and done by the console's process."""

import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from holdfast.console.pages import jobs as pages
from holdfast.console.viewers import Role
from holdfast.console.working import LOOK_EVERY, Working
from holdfast.flows.document import Params
from holdfast.operating.choosing import Choice
from holdfast.operating.jobs import MOST_CHOSEN, Runner, What, Wish, begin
from holdfast.operating.refused import Refused
from holdfast_journal import Actor, DatabaseUnusable, Deeds, Job, SqlJournal
from holdfast_journal.store.schema import jobs
from tests.cli.journals import move, start
from tests.console.browser import Browser, InlinePool
from tests.console.conftest import KEY, MARKUP, NAMES
from tests.console.test_api import call
from tests.harness.process import Child, environment
from tests.harness.reactor import flush_logged_errors

ADA = Actor("ada", "here", "page")
UID = "0123456789abcdef" * 2


def carry_out(journal: SqlJournal) -> None:
    while Runner(journal, "this").work():
        pass


def job(journal: SqlJournal) -> Job:
    (found,) = journal.jobs.page().rows
    return found


def uid(journal: SqlJournal, name: str) -> str:
    (row,) = journal.overview(name=name)
    return row.uid


def fields(body: str) -> dict[str, str]:
    """What a page's hidden fields hold."""
    return dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', body))


def wished(browser: Browser, asked: dict[str, str], **more: str) -> str:
    """Answer the question before a job; return the path of the job."""
    got = browser.post("/jobs/ask", {"csrf": browser.csrf, **asked})
    assert got.status == 200, got.body
    return browser.post("/jobs", fields(got.body) | more).headers["location"]


class TestPages:
    def test_from_ticking_to_the_end(self, browser: Browser) -> None:
        """A question, a job with its progress, and an audit that knows the job."""
        journal = browser.log_in(Role.OPERATOR).journal
        assert f'value="{uid(journal, "bob")}" form="bulk"' in browser.get("/flows").body
        asked = {"what": "retry", "which": "chosen", "uid": uid(journal, "bob")}
        path = wished(browser, asked, why="they asked")
        assert "looks for its flows" in browser.get(path).body
        assert "hx-trigger" in browser.get(path).body
        carry_out(journal)
        body = browser.get(path).body
        assert "1 of 1 done" in body
        assert "they asked" in body
        assert "hx-trigger" not in body
        assert "Retry 1 chosen flow" in browser.get("/jobs").body
        deed = next(each for each in journal.audit(Deeds(action="retry")))
        assert (deed.who, deed.name, deed.why) == ("ada", "bob", "they asked")
        assert deed.detail == f"job {job(journal).uid}"

    def test_all_that_match(self, browser: Browser) -> None:
        """The list's own filters choose; what cannot be done is named, markup and all."""
        journal = browser.log_in(Role.OPERATOR).journal
        assert 'name="status" value="new"' in browser.get("/flows?status=new").body
        path = wished(browser, {"what": "retry", "which": "all", "status": "new"})
        carry_out(journal)
        body = browser.get(path).body
        assert "0 of 2 done, 2 stay as they are" in body
        assert "default/dan is still running (new)" in body
        assert MARKUP not in body
        assert "&lt;script&gt;" in body

    def test_the_question_foresees(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        """To which flows it can be done, unless they are too many to look at."""
        browser.log_in(Role.OPERATOR)
        form = {"csrf": browser.csrf, "what": "retry", "which": "all", "batch": "default"}
        body = browser.post("/jobs/ask", form).body
        assert "Retry 1 flow?" in body
        assert "4 of them stay as they are" in body
        assert 'href="/flows?batch=default"' in body
        monkeypatch.setattr(pages, "MOST_FORESEEN", 4)
        body = browser.post("/jobs/ask", form).body
        assert "Retry 5 flows?" in body
        assert "Those to which this cannot be done stay as they are." in body

    def test_a_form_that_is_sent_twice_begins_one_job(self, browser: Browser) -> None:
        """Its job has the uid that the form was made with."""
        journal = browser.log_in(Role.OPERATOR).journal
        form = {"csrf": browser.csrf, "job": UID, "what": "cancel", "which": "all", "q": "an"}
        assert browser.post("/jobs", form).headers["location"] == f"/jobs/{UID}"
        assert browser.post("/jobs", form).headers["location"] == f"/jobs/{UID}"
        assert browser.post("/jobs", {**form, "q": "b"}).status == 400
        assert job(journal).uid == UID
        carry_out(journal)
        assert {row.name for row in journal.overview() if row.request} == {"ann", "dan"}

    def test_stopping(self, browser: Browser) -> None:
        """Only once."""
        journal = browser.log_in(Role.OPERATOR).journal
        path = wished(browser, {"what": "cancel", "which": "all"})
        assert browser.post(f"{path}/stop", {"csrf": browser.csrf}).status == 303
        assert browser.post(f"{path}/stop", {"csrf": browser.csrf}).status == 409
        carry_out(journal)
        assert job(journal).state == "stopped"
        assert not any(row.request for row in journal.overview())

    @pytest.mark.parametrize(
        ("path", "form", "status"),
        [
            ("/jobs/ask", {"what": "retry", "which": "chosen"}, 400),
            ("/jobs/ask", {"what": "retry", "which": "all", "q": "nobody"}, 400),
            ("/jobs/ask", {"what": "purge", "which": "all"}, 400),
            ("/jobs/ask", {"what": "retry", "uid": "../.."}, 400),
            ("/jobs", {"job": "x", "what": "retry", "which": "all"}, 400),
            ("/jobs", {"job": UID, "what": "extend", "which": "all"}, 400),
            ("/jobs", {"job": UID, "what": "extend", "which": "all", "deadline": "1"}, 400),
            (f"/jobs/{UID}/stop", {}, 404),
        ],
    )
    def test_what_is_refused(
        self, browser: Browser, path: str, form: dict[str, str], status: int
    ) -> None:
        """In words, and nothing is begun."""
        browser.log_in(Role.OPERATOR)
        assert browser.post(path, {"csrf": browser.csrf, **form}).status == status
        assert not browser.journal.jobs.page().rows

    def test_a_viewer_only_looks(self, browser: Browser) -> None:
        """Without boxes and buttons."""
        browser.log_in(Role.VIEWER)
        body = browser.get("/flows").body
        assert 'form="bulk"' not in body
        assert 'href="/start"' not in body
        form = {"csrf": browser.csrf, "job": UID, "what": "retry", "which": "all"}
        assert browser.post("/jobs", form).status == 403
        assert browser.post("/jobs/ask", form).status == 403
        assert browser.get("/jobs").status == 200
        assert browser.get(f"/jobs/{UID}").status == 404

    def test_pages_of_jobs(self, browser: Browser) -> None:
        """Fifty on each."""
        journal = browser.log_in(Role.VIEWER).journal
        for number in range(51):
            begin(journal, f"{number:032x}", Wish(What.CANCEL), ADA)
        body = browser.get("/jobs").body
        assert body.count("<tr>") == 51
        (then,) = re.findall(r'href="(/jobs\?after=\d+)"', body)
        assert browser.get(then).body.count("<tr>") == 2


class TestApi:
    @pytest.fixture
    def token(self, journal: SqlJournal) -> str:
        return journal.tokens.make("shop", "operator", None, ADA)

    def test_a_job(self, browser: Browser, token: str) -> None:
        """It is begun once for each key, seen, and stopped."""
        wish: Any = {"what": "retry", "all": True, "status": ["failed"], "why": "they asked"}
        got = call(browser, "POST", "/jobs", token, wish, **{"Idempotency-Key": "k"})
        assert (got.status, got.json()["state"]) == (202, "new")
        again = call(browser, "POST", "/jobs", token, wish, **{"Idempotency-Key": "k"})
        assert (again.status, again.json()) == (200, got.json())
        other = {**wish, "status": ["expired"]}
        assert browser.call("POST", "/jobs", token, other, **{"Idempotency-Key": "k"}).status == 409
        carry_out(browser.journal)
        seen = browser.call("GET", f"/jobs/{got.json()['uid']}", token).json()
        assert (seen["state"], seen["total"], seen["done"]) == ("done", 1, 1)
        listed = call(browser, "GET", "/jobs", token).json()
        assert listed == {"jobs": [seen], "next": None}
        assert browser.call("POST", f"/jobs/{seen['uid']}/stop", token).status == 409
        second = call(browser, "POST", "/jobs", token, wish).json()
        assert (
            browser.call("POST", f"/jobs/{second['uid']}/stop", token).json()["state"] == "stopped"
        )

    @pytest.mark.parametrize(
        "wish",
        [
            {"what": "retry"},
            {"what": "purge", "all": True},
            {"what": "retry", "uid": "x"},
            {"what": "retry", "uid": [1]},
            {"what": "retry", "uid": ["x"]},
            {"what": "retry", "all": True, "status": ["purple"]},
            {"what": "extend", "all": True},
            {"what": "retry", "uid": [UID] * (MOST_CHOSEN + 1)},
        ],
    )
    def test_what_is_refused(self, browser: Browser, token: str, wish: Any) -> None:
        """In words, and nothing is begun."""
        assert browser.call("POST", "/jobs", token, wish).status == 400
        assert not browser.journal.jobs.page().rows
        assert browser.call("GET", f"/jobs/{UID}", token).status == 404


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(What.CANCEL), "Cancel all flows"),
        (Wish(What.RETRY, uids=["a", "b"]), "Retry 2 chosen flows"),
        (
            Wish(What.RETRY, Choice(["ann"], ["failed"], ["send"], "b", "x*", 3600), force=True),
            (
                "Retry all flows named 'ann' named like 'x*' that stand as failed of the kind send"
                " in the batch 'b' that moved within 1h, also if the secret may have arrived"
            ),
        ),
        (
            Wish(What.EXTEND, Choice(batch="b"), deadline=2e9),
            "Extend all flows in the batch 'b' until 2033-05-18 03:33:20Z",
        ),
    ],
)
def test_words_for_a_wish(journal: SqlJournal, wish: Wish, words: str) -> None:
    """They are in the audit; and the wish comes back out of its row."""
    begin(journal, UID, wish, ADA)
    assert wish.words == words
    assert [each.detail for each in journal.audit(Deeds(action="bulk"))] == [words]
    assert Wish.of(job(journal)).words == words


DIES = """
import os, sys
from holdfast.operating.jobs import Runner
from holdfast_journal import SqlJournal
from holdfast_journal.ownership import retrying

parts, take_off = iter(range(3)), retrying.take_off

def take_off_and_die(*args):
    take_off(*args)
    if next(parts) == 2:
        os.kill(os.getpid(), 9)

retrying.AT_ONCE, retrying.take_off = 1, take_off_and_die
runner = Runner(SqlJournal.open_inline(sys.argv[1]), "one")
while runner.work():
    pass
"""


class TestRunning:
    def test_killed_in_the_middle(self, journal: SqlJournal, folder: Path) -> None:
        """Another process goes on with it, and each flow is retried once."""
        for flow in start(journal, *NAMES, batch="many").values():
            move(flow, "failed", finished=True)
        begin(journal, UID, Wish(What.RETRY, Choice(batch="many")), ADA)
        words = [sys.executable, "-c", DIES, str(folder / "holdfast.db")]
        with Child(words, env=environment(**KEY)) as child:
            assert child.wait().status == -signal.SIGKILL
        assert (job(journal).state, job(journal).done) == ("running", 2)
        other = Runner(journal, "other")
        assert not other.work(), "the first may be alive"
        with journal._database.writing() as connection:
            connection.execute(update(jobs).values(runner_until=time.time() - 1))
        while other.work():
            pass
        assert (job(journal).state, job(journal).done) == ("done", len(NAMES))
        assert {row.attempt for row in journal.overview("many")} == {2}
        assert len(journal.audit(Deeds(action="retry", batch="many"))) == len(NAMES)

    def test_another_deadline(self, browser: Browser, journal: SqlJournal) -> None:
        """Those that can have one get it; the others are named."""
        token = journal.tokens.make("shop", "operator", None, ADA)
        made = browser.call("POST", "/flows", token, {"name": "eve", "secret": "s3cr3t"}).json()
        uids = [made["uid"], uid(journal, "cleo")]
        begin(journal, UID, Wish(What.EXTEND, uids=uids, deadline=2e9), ADA)
        carry_out(journal)
        assert job(journal).notes == ["default/cleo has ended (done), and needs no deadline"]
        (row,) = journal.overview(name="eve")
        assert Params.from_bytes(journal.saved(row.id)[0]).deadline == 2e9

    def test_a_secret_that_was_sent_is_sent_again_only_if_that_is_meant(
        self, journal: SqlJournal
    ) -> None:
        """That was asked when the job was planned."""
        (flow,) = (each for each in journal.take() if each.name == "dan")
        move(flow, "failed", finished=True, sent=1)
        for force in (False, True):
            begin(journal, f"{force:032x}", Wish(What.RETRY, Choice(glob="dan"), force=force), ADA)
        carry_out(journal)
        assert [each.done for each in journal.jobs.page().rows] == [1, 0]

    def test_since_means_before_the_operator_asked(
        self, journal: SqlJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long the job had to wait."""
        begin(journal, UID, Wish(What.CANCEL, Choice(since=86_400.0)), ADA)
        monkeypatch.setattr("time.time", lambda: 4e9)
        carry_out(journal)
        assert job(journal).total == 5

    def test_a_job_that_was_altered_is_given_up(
        self, browser: Browser, journal: SqlJournal
    ) -> None:
        """And does not keep others waiting."""
        journal.jobs.make("f" * 32, "retry", '{"uids": 7}', "[]", ADA.does("bulk"))
        journal.jobs.make("e" * 32, "dance", "{", "{}", ADA.does("bulk"))
        choice, _ = Wish(What.CANCEL).stored()
        arguments = '{"force": false, "deadline": 1e300}'
        journal.jobs.make("d" * 32, "extend", choice, arguments, ADA.does("bulk"))
        begin(journal, UID, Wish(What.CANCEL, Choice(glob="ann")), ADA)
        carry_out(journal)
        assert [each.state for each in journal.jobs.page().rows] == ["done", *["failed"] * 3]
        assert browser.log_in().get("/jobs").status == 200
        with pytest.raises(Refused):
            Wish(What.CANCEL, Choice(statuses=["purple"]))

    def test_the_console_looks_for_jobs(self, browser: Browser) -> None:
        """It goes on after the database did not answer, and after a job was given up."""
        errors: list[Exception] = [DatabaseUnusable("away"), ZeroDivisionError()]
        done = []

        class Doing:
            def work(self) -> bool:
                if errors:
                    raise errors.pop(0)
                done.append(True)
                return len(done) < 3

        runner: Any = Doing()
        pool: Any = InlinePool()
        working = Working(runner, pool, browser.reactor)
        working.start()
        for _ in range(2):
            browser.reactor.advance(LOOK_EVERY)
        assert len(done) == 3
        flush_logged_errors(ZeroDivisionError)
        working.stop()
        browser.reactor.advance(LOOK_EVERY)
        assert len(done) == 3
