"""Who is let into the console, and what every answer and every form has."""

import re
from typing import Any

import pytest

from holdfast.console import site
from holdfast.console.answers import Answer, Wrong, redirect
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.gate import Proxy
from holdfast.console.guarding import CSP
from holdfast.console.listening import Where
from holdfast.console.page import Page, Stream
from holdfast.console.viewers import Role
from holdfast.console.wire import LARGEST_BODY
from holdfast.operating.refused import Refused
from holdfast_journal import (
    Actor,
    DatabaseUnusable,
    Deeds,
    NoSuchFlow,
    NotRetryable,
    SqlJournal,
    WrongKey,
)
from tests.console.browser import HOST, Browser
from tests.console.conftest import MARKUP
from tests.harness.reactor import flush_logged_errors

ADA = Actor("ada", "here", "command")


def token(journal: SqlJournal, role: str, name: str = "shop") -> str:
    return journal.tokens.make(name, role, None, ADA)


class TestComingIn:
    def test_nobody_is_let_in_without_a_cookie(self, browser: Browser) -> None:
        """A page leads to the form for a token, and a form says no."""
        assert browser.get("/flows").headers["location"] == "/login"
        assert browser.post("/logout").status == 303
        assert browser.get("/login").status == 200
        assert "ann" not in browser.get("/login").body

    def test_the_one_time_address_works_once(self, browser: Browser) -> None:
        """It gives a cookie that scripts and other sites cannot use, and is written down."""
        key = browser.sessions.one_time_key("ada", Role.CODES)
        got = browser.get(f"/login?key={key}")
        assert got.status == 303
        assert re.fullmatch(
            r"holdfast_session=[\w-]{43}; Path=/; HttpOnly; SameSite=Strict",
            got.headers["set-cookie"],
        )
        assert browser.get("/flows").status == 200
        (deed,) = browser.journal.audit(Deeds())
        assert (deed.who, deed.action, deed.origin) == ("ada", "login", "127.0.0.1")
        assert Browser(browser.journal).get(f"/login?key={key}").status == 403

    def test_a_token_lets_its_owner_in_until_it_is_revoked(self, browser: Browser) -> None:
        """The cookie ends with the token."""
        assert browser.post("/login", {"token": "hf_wrong"}).status == 403
        made = token(browser.journal, "viewer")
        assert browser.post("/login", {"token": made}).status == 303
        assert "shop, viewer" in browser.get("/flows").body
        browser.journal.tokens.revoke("shop", ADA)
        assert browser.get("/flows").headers["location"] == "/login"

    def test_keys_and_cookies_grow_old(self, browser: Browser) -> None:
        """A one-time address works for an hour, a session for eight idle hours and one day."""
        key = browser.sessions.one_time_key("ada", Role.CODES)
        browser.reactor.advance(3600)
        assert browser.get(f"/login?key={key}").status == 403
        browser.log_in()
        statuses = []
        for _ in range(4):
            browser.reactor.advance(7 * 3600)
            statuses.append(browser.get("/flows").status)
        assert statuses == [200, 200, 200, 303]
        browser.log_in()
        browser.reactor.advance(8 * 3600 + 1)
        assert browser.get("/flows").status == 303

    def test_guessing_tokens_becomes_slow(self, browser: Browser) -> None:
        """An address that shows ten wrong ones has to wait, even with a right one."""
        made = token(browser.journal, "viewer")
        statuses = [browser.post("/login", {"token": "wrong"}).status for _ in range(11)]
        assert statuses == [403] * 10 + [429]
        assert browser.post("/login", {"token": made}).status == 429
        assert browser.call("GET", "/flows", made).status == 429
        browser.reactor.advance(10)
        assert browser.post("/login", {"token": made}).status == 303
        other = Browser(browser.journal, peer="192.0.2.1")
        assert other.post("/login", {"token": made}).status == 303

    def test_logging_out(self, browser: Browser) -> None:
        """The cookie is useless afterwards."""
        old = browser.log_in().cookie
        assert browser.post("/logout", {"csrf": browser.csrf}).headers["location"] == "/login"
        browser.cookie = old
        assert browser.get("/flows").status == 303

    def test_behind_a_proxy(self, journal: SqlJournal) -> None:
        """The proxy's header says who it is, and the address is the one that it names."""
        browser = Browser(
            journal,
            Proxy("X-User", Role.OPERATOR),
            Where("127.0.0.1:8600", hosts=["codes.example"], behind_proxy=True),
        )
        assert browser.get("/flows").status == 303
        said = {"X-User": "bea", "X-Forwarded-For": "6.6.6.6, 192.0.2.9", "Host": "codes.example"}
        got = browser.ask("GET", "/flows", headers=said)
        assert "bea, operator" in got.body
        seen: list[Any] = []

        def act(asked: Any, _: Any) -> Any:
            seen.append(asked.actor)
            return redirect("/flows")

        browser.console.add([Page("/act", act, method="POST", role=Role.OPERATOR)])
        csrf = browser.sessions.csrf("proxy bea")
        got = browser.post(
            "/act", {"csrf": csrf, "why": "because"}, **said, Origin="https://codes.example"
        )
        assert got.status == 303
        assert seen == [Actor("bea", "192.0.2.9", "page", "because")]


class TestEveryAnswer:
    @pytest.mark.parametrize("path", ["/flows", "/login", "/nothing", "/static/console.css"])
    def test_its_headers(self, browser: Browser, path: str) -> None:
        """No answer may be framed, sniffed, or load anything from elsewhere."""
        got = browser.log_in().get(path)
        assert got.headers["content-security-policy"] == CSP
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["x-frame-options"] == "DENY"
        kept = path.startswith("/static/")
        assert got.headers["cache-control"] == ("no-cache" if kept else "no-store")

    def test_nothing_is_inline(self, browser: Browser) -> None:
        """What the policy forbids is not in any page."""
        browser.log_in()
        for path in ("/flows", "/login", "/nothing"):
            body = browser.get(path).body
            assert not re.search(r"<script(?! src=)|<style| style=| on\w+=|javascript:", body)
            assert not re.search(r"(?:src|href)=\"(?![/#])", body)

    @pytest.mark.parametrize(
        "host", ["evil.example", f"evil.example:{8600}", "", "127.0.0.1.evil.example", "[::2]:8600"]
    )
    def test_a_foreign_host(self, browser: Browser, host: str) -> None:
        """A page that points its own name at us is told nothing."""
        got = browser.log_in().ask("GET", "/flows", headers={"Host": host})
        assert got.status in (400, 421)
        assert "ann" not in got.body

    @pytest.mark.parametrize("host", ["localhost:8600", "127.0.0.1", "[::1]:9", "LOCALHOST"])
    def test_our_hosts(self, browser: Browser, host: str) -> None:
        """This machine's names may be used, with any port."""
        assert browser.log_in().ask("GET", "/flows", headers={"Host": host}).status == 200

    def test_what_is_too_large(self, browser: Browser) -> None:
        """A body that is too large is not kept."""
        browser.log_in()
        said = {"Content-Length": str(LARGEST_BODY + 1)}
        half = b"x" * (LARGEST_BODY // 2 + 1)
        got = browser.ask("POST", "/logout", headers=said, chunks=[half, half[:-1]])
        assert got.status == 413

    @pytest.mark.parametrize(
        ("error", "status", "words"),
        [
            (RuntimeError("the secret is s3cr3t"), 500, "Something is wrong with this console"),
            (Refused("that cannot be"), 400, "That cannot be."),
            (NoSuchFlow("no flow s3cr3t"), 404, "There is no such flow."),
            (NotRetryable("it went well"), 409, "It went well."),
            (DatabaseUnusable("the database is away"), 503, "The database is away."),
            (WrongKey("another key"), 500, "Another key."),
            (Wrong(418, "I am a teapot."), 418, "I am a teapot."),
        ],
        ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
    )
    def test_what_is_raised(
        self, browser: Browser, error: Exception, status: int, words: str
    ) -> None:
        """Nobody is told more than the words for people; what nobody expected is logged."""

        def fails(*_: object) -> Any:
            raise error

        browser.log_in().console.add([Page("/broken", fails)])
        got = browser.get("/broken")
        assert (got.status, words in got.body) == (status, True)
        assert "s3cr3t" not in got.body
        assert ("retry-after" in got.headers) == (status == 503)
        assert flush_logged_errors() == ([error] if status == 500 and "Some" in words else [])

    def test_too_much_at_once(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever comes while too many wait is told to come again."""
        browser.log_in()
        monkeypatch.setattr(site, "MOST_WAITING", 0)
        got = browser.get("/flows")
        assert (got.status, got.headers["retry-after"]) == (503, "1")


class TestStreams:
    def test_a_stream(self, browser: Browser) -> None:
        """It writes what it wants, with the headers of every answer."""

        def tell(asked: Asked, console: site.Console, request: Any) -> Any:
            request.say("Content-Type", "text/event-stream")
            request.write(f"data: {asked.viewer.name}\n\n".encode())
            return console.in_thread(lambda: None)

        browser.console.add([Stream("/told", tell, Role.OPERATOR)])
        got = browser.log_in().get("/told")
        assert got.headers["content-type"] == "text/event-stream"
        assert got.headers["content-security-policy"] == CSP
        assert "data: ada\n\n" in got.body
        assert Browser(browser.journal).get("/told").status == 404
        browser.log_in(Role.VIEWER)
        assert browser.get("/told").status == 403


class TestForms:
    @pytest.fixture
    def acted(self, browser: Browser) -> list[Actor]:
        """Who used a page that changes something."""
        seen: list[Actor] = []

        def act(asked: Any, _: Any) -> Any:
            seen.append(asked.actor)
            return redirect("/flows")

        browser.console.add([Page("/act", act, method="POST", role=Role.OPERATOR)])
        return seen

    def test_a_form_of_ours(self, browser: Browser, acted: list[Actor]) -> None:
        """It says who acts, from where, by which face, and why."""
        browser.log_in(Role.OPERATOR, "bea")
        assert browser.post("/act", {"csrf": browser.csrf, "why": " they asked "}).status == 303
        assert browser.post("/act", **{"X-CSRF-Token": browser.csrf}).status == 303
        assert acted == [
            Actor("bea", "127.0.0.1", "page", "they asked"),
            Actor("bea", "127.0.0.1", "page"),
        ]

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": ""},
            {"Origin": "null"},
            {"Origin": "http://evil.example"},
            {"Origin": f"http://{HOST}.evil.example"},
            {"Origin": "http://localhost:8600"},
            {"Origin": "http://["},
        ],
    )
    def test_another_site(
        self, browser: Browser, acted: list[Actor], headers: dict[str, str]
    ) -> None:
        """Even with the right token nothing is done."""
        browser.log_in()
        assert browser.post("/act", {"csrf": browser.csrf}, **headers).status == 403
        assert acted == []

    @pytest.mark.parametrize("csrf", ["", "0" * 64, "ä", None])
    def test_a_wrong_token(self, browser: Browser, acted: list[Actor], csrf: str | None) -> None:
        """A form of another session, or of none, does nothing."""
        other = Browser(browser.journal).log_in().csrf
        browser.log_in()
        assert browser.post("/act", {"csrf": other if csrf is None else csrf}).status == 403
        assert acted == []

    def test_a_role_that_is_too_small(self, browser: Browser, acted: list[Actor]) -> None:
        """A viewer changes nothing."""
        browser.log_in(Role.VIEWER)
        got = browser.post("/act", {"csrf": browser.csrf})
        assert got.status == 403
        assert "operator" in got.body
        assert acted == []

    def test_a_get_changes_nothing(self, browser: Browser, acted: list[Actor]) -> None:
        """A page that changes something cannot be reached by a link."""
        assert browser.log_in().get("/act").status == 405
        assert acted == []

    def test_what_is_filled_in(self, browser: Browser) -> None:
        """Fields, durations and files are read, or it is said what is wrong with them."""
        seen: list[object] = []

        def act(asked: Asked, _: Desk) -> Answer:
            seen[:] = [asked.all_filled("id"), asked.seconds("deadline"), asked.upload("people")]
            return redirect("/flows")

        browser.console.add([Page("/act", act, method="POST")])
        browser.log_in()
        parts = [("csrf", browser.csrf), ("id", "1"), ("id", "é"), ("deadline", "8h")]
        body = "".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in parts
        )
        body += '--x\r\nContent-Disposition: form-data; name="people"; filename="p.csv"\r\n\r\n'
        sent = body.encode() + b"name,secret\r\n--x--\r\n"
        said = {"Origin": f"http://{HOST}", "Content-Type": "multipart/form-data; boundary=x"}
        assert browser.ask("POST", "/act", sent, said).status == 303
        assert seen == [["1", "é"], 8 * 3600.0, b"name,secret"]
        got = browser.post("/act", {"csrf": browser.csrf, "deadline": "soon"})
        assert (got.status, "deadline: &#39;soon&#39;" in got.body) == (400, True)
        form = f"csrf={browser.csrf}&id=%ff".encode()
        said["Content-Type"] = "application/x-www-form-urlencoded"
        assert browser.ask("POST", "/act", form, said).status == 400


class TestFlows:
    def test_all(self, browser: Browser) -> None:
        """A table of all, and how many stand how; no code; markup in names is text."""
        body = browser.log_in().get("/flows").body
        for name in ("ann", "bob", "cleo", "dan"):
            assert f">{name}</a>" in body
        assert "7-guitar-revenge" not in body
        assert MARKUP not in body
        assert "&lt;script&gt;" in body
        assert re.findall(r">(\d+ [a-z]+)</a>", body) == [
            "1 done",
            "1 failed",
            "2 new",
            "1 waiting",
        ]

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("q=an", ["ann", "dan"]),
            ("q=?an", ["dan"]),
            ("status=failed", ["bob"]),
            ("status=failed&status=done", ["bob", "cleo"]),
            ("status=ended-badly", ["bob"]),
            ("batch=other", []),
            ("kind=provision&q=ann", ["ann"]),
            ("name=ann", ["ann"]),
            ("since=1s&q=nobody", []),
            ("limit=3", ["ann", "bob"]),
        ],
    )
    def test_filters(self, browser: Browser, query: str, names: list[str]) -> None:
        """The address says which."""
        body = browser.log_in().get(f"/flows?{query}&sort=name").body
        assert re.findall(r'<a href="/flows/\w+">(\w+)</a>', body) == names

    def test_page_by_page(self, browser: Browser) -> None:
        """The link to the next page keeps the filter, and the last page has none."""
        browser.log_in()
        path, found = "/flows?limit=2&kind=provision&sort=name", []
        while path:
            body = browser.get(path).body
            found += re.findall(r'<a href="/flows/\w+">(.+?)</a>', body)
            link = re.search(r'href="([^"]+)">Next page', body)
            path = link[1].replace("&amp;", "&") if link else ""
            assert not path or "kind=provision" in path
        assert [each for each in found if each.isalpha()] == ["ann", "bob", "cleo", "dan"]
        assert len(found) == 5

    @pytest.mark.parametrize(
        "query",
        [
            "status=nonsense",
            "since=soon",
            "sort=colour",
            "limit=many",
            "after=%00",
            "after=W10",
            "after=WzAsIHRydWUsIDFd",
            "after=%ff%fe",
        ],
    )
    def test_what_is_not_understood(self, browser: Browser, query: str) -> None:
        """It is said in words."""
        got = browser.log_in().get(f"/flows?{query}")
        assert got.status == 400
        assert 'role="alert"' in got.body


@pytest.mark.parametrize(
    ("listen", "good"),
    [
        ("127.0.0.1:8600", True),
        ("127.8.8.8:0", True),
        ("localhost:8600", True),
        ("[::1]:8600", True),
        ("unix:/run/holdfast.sock", True),
        ("0.0.0.0:8600", False),
        ("[::]:8600", False),
        ("192.0.2.1:8600", False),
        ("codes.example:8600", False),
        ("tcp:8600", False),
    ],
)
def test_it_is_safe_by_default(listen: str, good: bool) -> None:
    """Without TLS or a proxy only this machine may reach it."""
    if good:
        assert Where(listen).is_private
        return
    with pytest.raises(Refused, match="--tls"):
        Where(listen)
    assert not Where(listen, behind_proxy=True).is_private
