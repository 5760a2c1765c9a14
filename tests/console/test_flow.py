"""The page of one flow: what it shows, what it never shows, and what can be done there."""

import re
from pathlib import Path

import pytest

from holdfast.console.viewers import Role
from holdfast.flows.document import Checkpoint, Params
from holdfast.transfer import APPID
from holdfast_journal import CANCEL, Deeds, FlowRow, NewFlow, Snapshot, SqlJournal, TakenFlow
from tests.cli.journals import move
from tests.console.browser import Browser, Got
from tests.console.conftest import MARKUP

CODE = "7-guitar-revenge"
SAVED = Checkpoint({}, {}).to_bytes()


def row(journal: SqlJournal, name: str) -> FlowRow:
    (found,) = journal.named("default", [name])
    return found


def start(journal: SqlJournal, name: str) -> FlowRow:
    """Start a flow whose parameters can be read."""
    params = Params("ws://relay.example:4000/v1", APPID, {"secret": "s3cr3t"})
    journal.start_flows("default", [NewFlow(name, "provision", params.to_bytes())])
    return row(journal, name)


def take(journal: SqlJournal, name: str) -> TakenFlow:
    return {each.name: each for each in journal.take()}[name]


def act(browser: Browser, name: str, what: str, **form: str) -> Got:
    uid = row(browser.journal, name).uid
    return browser.post(f"/flows/{uid}/{what}", {"csrf": browser.csrf, **form})


class TestWhatIsShown:
    def test_the_story_and_the_facts(self, browser: Browser) -> None:
        """What happened, in order, with the drawing; no code and no secret."""
        journal = browser.journal
        start(journal, "eve")
        taken = take(journal, "eve")
        move(taken, "starting", heard="server: welcome", said=["allocate it"])
        heard = "server: has stored our pake"
        move(taken, "waiting", heard=heard, checkpoint=SAVED, code=CODE, guesses="1 of 3")
        body = browser.log_in().get(f"/flows/{row(journal, 'eve').uid}").body
        assert "ws://relay.example:4000/v1" in body
        assert "1 of 3" in body
        story = re.findall(r'<span class="status">(.+?)</span>', body)
        assert story == ["code works"]
        assert ">server: has stored our pake</text>" in body
        assert CODE not in body
        assert "s3cr3t" not in body

    def test_the_audit(self, browser: Browser) -> None:
        """Who did what to it, and why; of nobody else's flow."""
        browser.log_in(name="<i>ada</i>")
        act(browser, "ann", "cancel", why="<b>they left</b>")
        body = browser.get(f"/flows/{row(browser.journal, 'ann').uid}").body
        assert "&lt;b&gt;they left&lt;/b&gt;" in body
        assert "&lt;i&gt;ada&lt;/i&gt;" in body
        assert "they left" not in browser.get(f"/flows/{row(browser.journal, 'bob').uid}").body

    @pytest.mark.parametrize("role", list(Role))
    def test_every_flow(self, browser: Browser, role: Role) -> None:
        """Whatever its status and its name are, and whoever looks: buttons for those who may."""
        browser.log_in(role)
        for each in browser.journal.overview():
            got = browser.get(f"/flows/{each.uid}")
            assert got.status == 200
            assert MARKUP not in got.body
            assert not re.search(r"<script(?! src=)|<style| style=| on\w+=", got.body)
            can_act = each.name != "cleo" and role >= Role.OPERATOR
            assert ("Why <input" in got.body) == can_act, each.name
            assert ("Show the code" in got.body) == (each.name == "ann" and role is Role.CODES)

    def test_trouble(self, browser: Browser) -> None:
        """Why its own code stopped it is shown, line by line."""
        flow = row(browser.journal, "dan")
        with browser.journal._database.writing() as connection:
            connection.exec_driver_sql(
                "UPDATE holdfast_flows SET failures = 2, trouble = 'flow.py:7<b>' WHERE id = ?",
                (flow.id,),
            )
        body = browser.log_in().get(f"/flows/{flow.uid}").body
        assert "its own code raised 2 times:\nflow.py:7&lt;b&gt;" in body

    @pytest.mark.parametrize("uid", ["nobody", "' OR 1=1 --", "0" * 32])
    def test_nobody(self, browser: Browser, uid: str) -> None:
        """A flow that there is not."""
        assert browser.log_in().get(f"/flows/{uid.replace(' ', '%20')}").status == 404


class TestTheCode:
    def test_it_is_written_down_first(self, browser: Browser) -> None:
        """Shown to the role codes, by a POST, and the browser hides it after a minute."""
        browser.log_in(Role.CODES, "bea")
        uid = row(browser.journal, "ann").uid
        got = browser.post(f"/flows/{uid}/code", {"csrf": browser.csrf})
        assert got.status == 200
        assert CODE in got.body
        assert got.headers["refresh"] == f"60; url=/flows/{uid}"
        (deed,) = browser.journal.audit(Deeds(action="code shown"))
        assert (deed.who, deed.face, deed.name) == ("bea", "page", "ann")
        assert browser.get(f"/flows/{uid}/code").status == 405
        assert CODE not in browser.get(f"/flows/{uid}").body

    def test_it_comes_with_its_command(self, browser: Browser) -> None:
        """And with the picture that applications scan, where there can be one."""
        flow = start(browser.journal, "eve")
        move(take(browser.journal, "eve"), "waiting", code=CODE, checkpoint=SAVED)
        body = browser.log_in().post(f"/flows/{flow.uid}/code", {"csrf": browser.csrf}).body
        assert f"--relay-url ws://relay.example:4000/v1 receive {CODE}" in body
        assert '<svg xmlns="http://www.w3.org/2000/svg"' in body.partition('class="qr"')[2][:60]

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_others_are_refused(self, browser: Browser, role: Role) -> None:
        """And nothing is written down."""
        browser.log_in(role)
        assert act(browser, "ann", "code").status == 403
        assert not browser.journal.audit(Deeds(action="code shown"))

    def test_without_the_token(self, browser: Browser) -> None:
        """Another site cannot have it shown."""
        uid = row(browser.log_in().journal, "ann").uid
        assert browser.post(f"/flows/{uid}/code").status == 403

    def test_there_is_none(self, browser: Browser) -> None:
        """A flow that is over has none; the audit does not say that it was shown."""
        browser.log_in()
        assert act(browser, "bob", "code").status == 409
        assert not browser.journal.audit(Deeds(action="code shown"))


class TestWhatCanBeDone:
    def test_cancel(self, browser: Browser) -> None:
        """Once; then it says that it will end."""
        browser.log_in(Role.OPERATOR)
        assert act(browser, "ann", "cancel", why="they left").status == 303
        assert row(browser.journal, "ann").request == CANCEL
        (deed,) = browser.journal.audit(Deeds(action="cancel"))
        assert (deed.name, deed.why, deed.face) == ("ann", "they left", "page")
        assert act(browser, "cleo", "cancel").status == 409

    def test_retry(self, browser: Browser) -> None:
        """What failed begins anew; what went well does not."""
        browser.log_in(Role.OPERATOR)
        assert act(browser, "bob", "retry").status == 303
        assert row(browser.journal, "bob").attempt == 2
        for name in ("ann", "cleo"):
            got = act(browser, name, "retry", force="1")
            assert got.status == 409
            assert "It " in got.body

    def test_retry_of_what_was_sent(self, browser: Browser) -> None:
        """Only if somebody says that it may arrive twice."""
        taken = take(browser.journal, "dan")
        move(taken, "failed", finished=True, sent=7)
        browser.log_in(Role.OPERATOR)
        uid = row(browser.journal, taken.name).uid
        assert 'name="force"' in browser.get(f"/flows/{uid}").body
        assert act(browser, taken.name, "retry").status == 409
        assert act(browser, taken.name, "retry", force="1").status == 303

    def test_extend(self, browser: Browser) -> None:
        """From now on; only a duration is a duration."""
        flow = start(browser.journal, "eve")
        browser.log_in(Role.OPERATOR)
        assert act(browser, "eve", "extend", deadline="2d", why="holidays").status == 303
        params = Params.from_bytes(browser.journal.saved(flow.id)[0])
        assert params.deadline is not None
        (deed,) = browser.journal.audit(Deeds(action="extend"))
        assert deed.why == "holidays"
        assert deed.detail.startswith("until ")
        for wrong in ("", "soon", "0s", "-1d"):
            assert act(browser, "eve", "extend", deadline=wrong).status == 400
        assert act(browser, "cleo", "extend", deadline="1d").status == 409

    @pytest.mark.parametrize("what", ["cancel", "retry", "extend"])
    def test_not_by_viewers(self, browser: Browser, what: str) -> None:
        """Who only sees changes nothing."""
        browser.log_in(Role.VIEWER)
        assert act(browser, "bob", what, deadline="1d").status == 403
        assert not [e for e in browser.journal.audit(Deeds()) if e.action != "login"]


class TestOverview:
    def test_what_there_is(self, browser: Browser) -> None:
        """How many flows stand how, in the order of their lives, and what needs somebody."""
        body = browser.log_in(Role.VIEWER).get("/").body
        cards = re.findall(r'href="/flows\?status=(\w+)"><strong>(\d+)', body)
        assert cards == [("new", "2"), ("waiting", "1"), ("done", "1"), ("failed", "1")]
        assert '<a href="/flows?status=failed"><span class="status">1</span> failed</a>' in body
        assert '<strong class="large">1</strong> in the last hour, 1 in the last 24' in body
        assert "No process serves the unfinished flows" in body
        for word, number in cards:
            rows = re.findall(r'<tr id="flow', browser.get(f"/flows?status={word}").body)
            assert len(rows) == int(number)

    def test_what_needs_somebody(self, browser: Browser) -> None:
        """Trouble, and flows that cannot reach their server; with links that choose them."""
        journal = browser.journal
        flow = take(journal, "dan")
        flow.journal.attach(lambda: Snapshot("starting", b"{}", {}, False, False))
        with flow.journal.process():
            flow.journal.record("no-server", heard="no server: <b>refused</b>", said=(), event=b"")
        with journal._database.writing() as connection:
            connection.exec_driver_sql(
                "UPDATE holdfast_flows SET failures = 1, trouble = 'x' WHERE name = 'ann'"
            )
        body = browser.log_in().get("/").body
        assert "runs</span> 3 flows" in body
        assert "No process serves" not in body
        assert "1</span> cannot reach the mailbox server: &lt;b&gt;refused&lt;/b&gt;" in body
        assert "1</span> stopped by an error of their own code" in body
        assert "/flows?status=unfinished&amp;sort=trouble" in body

    def test_nothing_at_all(self, tmp_path: Path) -> None:
        """An empty database says how to begin."""
        journal = SqlJournal.open_inline(tmp_path / "new.db", environ={})
        body = Browser(journal).log_in().get("/").body
        journal.close()
        assert "There are no flows yet" in body
        assert "No worker runs" in body
