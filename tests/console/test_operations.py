"""The pages of tasks, workers, deeds and health."""

import re
from pathlib import Path

import pytest

from holdfast.console.viewers import Role
from holdfast.operating import checkups
from holdfast_journal import Actor, Deeds, SqlJournal
from holdfast_journal.doctor import Finding
from tests.cli.journals import move, run, start
from tests.console.browser import Browser
from tests.console.conftest import KEY, MARKUP

ADA = Actor("ada", "here", "command", MARKUP)
REASON = f"the command said {MARKUP}"


@pytest.fixture
def waits(journal: SqlJournal) -> SqlJournal:
    """Three flows that wait for tasks, and whose worker is alive."""
    flows = start(journal, "eve", "fay", MARKUP, batch="work")
    for name, tries, error, due in (
        ("eve", 4, REASON, 1e10),
        ("fay", 0, "", 0.0),
        (MARKUP, 1, "no", 1e10),
    ):
        own = flows[name].journal
        move(flows[name], "exchanging", code="7-s3cr3t-code")
        with own.process():
            own.record("task", heard="task mint", said=(), event=b"")
            own.add_task(1, "mint", b"s3cr3t", f"key of {name}", due, tries, error)
    return journal


def rows(body: str) -> list[list[str]]:
    """What is in the cells of a page's tables, without markup."""
    return [
        [
            re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", cell)).strip()
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)
        if "<td" in row
    ]


def shown(browser: Browser, path: str) -> list[list[str]]:
    body = browser.get(path).body
    assert MARKUP not in body
    assert "s3cr3t" not in body
    return rows(body)


class TestTasks:
    def test_all(self, waits: SqlJournal) -> None:
        """Those tried most often first; why not yet; and a link to the flow."""
        browser = Browser(waits).log_in(Role.VIEWER)
        first, second, third = shown(browser, "/tasks")
        assert first[:4] == ["eve", "mint", "failing", "4"]
        assert first[5].startswith("the command said &lt;script&gt;")
        assert second[0].startswith("&lt;script&gt;")
        assert third[:5] == ["fay", "mint", "pending", "0", "due"]
        assert re.search(r">2 failing</a>\s+<a [^>]+>1 pending</a>", browser.get("/tasks").body)

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("state=failing&q=e?e", ["eve"]),
            ("state=pending", ["fay"]),
            ("task=mint&q=fa", ["fay"]),
            ("task=letter", []),
            ("batch=default", []),
            ("limit=1&q=*ay", ["fay"]),
        ],
    )
    def test_filters(self, waits: SqlJournal, query: str, names: list[str]) -> None:
        """The address says which."""
        found = shown(Browser(waits).log_in(), f"/tasks?{query}")
        assert [row[0] for row in found] == names

    def test_page_by_page(self, waits: SqlJournal) -> None:
        """The link to the next page keeps the filter."""
        browser, path, found = Browser(waits).log_in(), "/tasks?limit=1&batch=work", []
        while path:
            body = browser.get(path).body
            found += [row[0] for row in rows(body)]
            link = re.search(r'href="([^"]+)">Next page', body)
            path = link[1].replace("&amp;", "&") if link else ""
            assert not path or "batch=work" in path
        assert len(found) == 3
        assert (found[0], found[2]) == ("eve", "fay")

    @pytest.mark.parametrize(
        "query", ["state=odd", "after=%00", "after=W10", "after=WzEsTmFOLDFd", "status=odd"]
    )
    def test_what_is_not_understood(self, browser: Browser, query: str) -> None:
        """It is said in words."""
        got = browser.log_in().get(f"/tasks?{query}")
        assert got.status == 400
        assert 'role="alert"' in got.body


class TestWorkers:
    def test_one_is_asked_to_leave(self, waits: SqlJournal) -> None:
        """By an operator, with a reason, once; and it is written down."""
        browser = Browser(waits).log_in(Role.OPERATOR)
        row, ended = shown(browser, "/workers")
        assert row[2:5] == ["alive", "3", "3"]
        assert ended[2:4] == ["ended", "3"]
        worker = waits.worker
        assert f'action="/workers/{worker}/drain"' in browser.get("/workers").body
        path = f"/workers/{worker}/drain"
        assert browser.post(path, {"csrf": browser.csrf, "why": MARKUP}).status == 303
        assert waits.asked_to_leave()
        assert shown(browser, "/workers")[0][2] == "leaving"
        assert "<form" not in browser.get("/workers").body.partition("<table")[2]
        (deed,) = waits.audit(Deeds(action="drain"))
        assert (deed.who, deed.detail, deed.why) == ("ada", f"worker {worker}", MARKUP)

    def test_who_only_looks(self, waits: SqlJournal) -> None:
        """Sees no button, and may not."""
        browser = Browser(waits).log_in(Role.VIEWER)
        assert "drain" not in browser.get("/workers").body
        path = f"/workers/{waits.worker}/drain"
        assert browser.post(path, {"csrf": browser.csrf}).status == 403
        assert not waits.asked_to_leave()

    @pytest.mark.parametrize("worker", ["1", "0", "-1", "x", "9" * 30, "¹"])
    def test_one_that_is_not_there(self, browser: Browser, worker: str) -> None:
        """Or has ended: worker 1 made this database."""
        browser.log_in()
        got = browser.post(f"/workers/{worker}/drain", {"csrf": browser.csrf})
        assert got.status in (400, 404)
        assert browser.journal.audit(Deeds(action="drain")) == []

    def test_those_that_have_ended(self, browser: Browser) -> None:
        """They are shown while they still have flows, and whenever all are asked for."""
        browser.log_in()
        (row,) = shown(browser, "/workers")
        assert row[2:4] == ["ended", "3"]
        assert "3 flows are left by workers that have ended" in browser.get("/workers").body
        assert len(shown(browser, "/workers?all=1")) == 1
        assert shown(browser, "/workers?all=1&after=1") == []


class TestAudit:
    @pytest.fixture
    def done(self, journal: SqlJournal) -> SqlJournal:
        """Three deeds."""
        ann, bob = journal.named("default", ["ann", "bob"])
        journal.note(ADA.does("code shown"), ann.id)
        journal.note(Actor("shop", "192.0.2.1", "api").does("cancel"), bob.id)
        journal.note(ADA.does("login", MARKUP))
        return journal

    def test_all(self, done: SqlJournal) -> None:
        """The newest first: who, from where, what, to which flow, and why."""
        browser = Browser(done).log_in(Role.VIEWER)
        own, login, cancel, code = shown(browser, "/audit")
        assert own[1:4] == ["ada", "127.0.0.1 (page)", "login"]
        assert login[6].startswith("&lt;script&gt;")
        assert cancel[1:6] == ["shop", "192.0.2.1 (api)", "cancel", "bob", "default"]
        assert code[4] == "ann"
        assert code[7].startswith("&lt;script&gt;")

    @pytest.mark.parametrize(
        ("query", "actions"),
        [
            ("who=shop", ["cancel"]),
            ("action=code+shown", ["code shown"]),
            ("action=odd", []),
            ("name=ann", ["code shown"]),
            ("batch=default", ["cancel", "code shown"]),
            ("flow=0", []),
            ("limit=2", ["login", "login"]),
            ("before=1", []),
        ],
    )
    def test_filters(self, done: SqlJournal, query: str, actions: list[str]) -> None:
        """The address says which."""
        found = shown(Browser(done).log_in(), f"/audit?{query}")
        assert [row[3] for row in found] == actions

    def test_page_by_page(self, done: SqlJournal) -> None:
        """The link to older ones keeps the filter."""
        browser, path, found = Browser(done).log_in(), "/audit?limit=1&batch=default", []
        while path:
            body = browser.get(path).body
            found += [row[3] for row in rows(body)]
            link = re.search(r'href="([^"]+)">Older', body)
            path = link[1].replace("&amp;", "&") if link else ""
            assert not path or "batch=default" in path
        assert found == ["cancel", "code shown"]


class TestHealth:
    def test_the_database(self, browser: Browser) -> None:
        """Its revision, size and disk, and which key seals how much."""
        body = browser.log_in(Role.VIEWER).get("/health").body
        assert "holdfast.db" in body
        assert re.search(r"<dt>Size</dt><dd>\d+\.\d [KM]iB", body)
        assert re.search(r"<dd>[\d.]+ \wiB free of", body)
        ((key, flows, use),) = rows(body)
        assert re.fullmatch(r"[0-9a-f]{8}", key), key
        assert (flows, use) == ("4", "seals new flows")
        assert "It was not run yet" in body

    def test_the_doctor(self, journal: SqlJournal) -> None:
        """Its last run, with what it found."""
        many = [Finding("x", f"finding {n}", MARKUP) for n in range(checkups.MOST + 1)]
        checkups.note(journal, "checked nothing: no problems", [])
        checkups.note(journal, "checked 5 flows: 51 problems", many)
        browser = Browser(journal).log_in(Role.VIEWER)
        body = browser.get("/health").body
        assert "checked 5 flows: 51 problems." in body
        assert body.count("<li>finding ") == checkups.MOST
        assert "<li>and 1 more</li>" in body
        assert "checked nothing" not in body
        assert MARKUP not in body
        newest, older = shown(browser, "/audit?action=doctor")
        assert newest[6].startswith("checked 5 flows: 51 problems")
        assert older[6] == "checked nothing: no problems"


def test_the_doctor_writes_it_down(journal: SqlJournal, folder: Path) -> None:
    """Only if it is asked to, and only for the whole database."""
    path = folder / "holdfast.db"
    assert run(path, "doctor", **KEY).exit_code == 1
    assert checkups.last(journal) is None
    assert run(path, "doctor", "--note", "--batch", "default", **KEY).exit_code == 2
    assert checkups.last(journal) is None
    *findings, kept, summary = run(path, "doctor", "--note", **KEY).stdout.splitlines()
    found = checkups.last(journal)
    assert found is not None
    assert [*found.findings, found.summary] == [*findings, summary]
    assert "keep" in kept, "which is about this machine, and not about the database"
