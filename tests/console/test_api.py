"""The HTTP API does what its OpenAPI document says."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from holdfast.console import service
from holdfast.console.api.openapi import document
from holdfast.console.api.route import LARGEST_BODY
from holdfast.flows.document import Params
from holdfast.operating.hooks import AskedHooks
from holdfast_journal import CANCEL, Actor, Deeds, SqlJournal
from tests.cli.journals import move
from tests.console.browser import Browser, Got

ADA = Actor("ada", "here", "command")
DOCUMENT = json.loads(json.dumps(document()))
NEW = {"name": "eve", "secret": "s3cr3t"}


@pytest.fixture
def tokens(journal: SqlJournal) -> Mapping[str, str]:
    """A token of each role."""
    roles = ("viewer", "operator", "codes")
    return {role: journal.tokens.make(f"the {role}", role, None, ADA) for role in roles}


@pytest.fixture
def uids(journal: SqlJournal) -> Mapping[str, str]:
    return {row.name: row.uid for row in journal.overview()}


def conforms(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value is as a schema says, for the few words that ours use."""
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    said = schema["type"]
    allowed = tuple(kinds[each] for each in ([said] if isinstance(said, str) else said))
    if not isinstance(value, allowed) or value not in schema.get("enum", [value]):
        return False
    if isinstance(value, list):
        return all(conforms(each, schema["items"]) for each in value)
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return set(schema["required"]) <= value.keys() <= known.keys() and all(
            conforms(each, known[name]) for name, each in value.items()
        )
    return True


def call(
    browser: Browser, method: str, path: str, token: str, value: object = None, **headers: str
) -> Got:
    """Ask, and check that the answer is one that the document has for this operation."""
    got = browser.call(method, path, token, value, **headers)
    operation = next(
        paths[method.lower()]
        for template, paths in DOCUMENT["paths"].items()
        if method.lower() in paths and matches(template, f"/api/v1{path.partition('?')[0]}")
    )
    answer = operation["responses"][str(got.status)]
    assert conforms(got.json(), answer["content"]["application/json"]["schema"]), got
    return got


def matches(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        each == other or each.startswith("{") for each, other in zip(parts, given, strict=True)
    )


class TestStarting:
    def test_once(self, browser: Browser, tokens: Mapping[str, str]) -> None:
        """201 the first time, 200 the same flow afterwards, 409 another secret."""
        first = call(browser, "POST", "/flows", tokens["operator"], NEW)
        assert first.status == 201
        assert first.headers["location"] == f"/api/v1/flows/{first.json()['uid']}"
        again = call(browser, "POST", "/flows", tokens["operator"], {**NEW, "expires_in": 60})
        assert (again.status, again.json()) == (200, first.json())
        other = call(browser, "POST", "/flows", tokens["operator"], {**NEW, "secret": "other"})
        assert other.status == 409
        assert "other" not in other.body.replace("another", "")
        (deed,) = browser.journal.audit(Deeds(action="start"))
        assert (deed.who, deed.face, deed.name) == ("the operator", "api", "eve")
        in_batch = {**NEW, "batch": "march", "secret": "other"}
        assert call(browser, "POST", "/flows", tokens["operator"], in_batch).status == 201

    def test_hooks(self, journal: SqlJournal, tokens: Mapping[str, str]) -> None:
        """Who is told of flows is the console's word, not that of whoever starts one."""
        words = {
            "collected": ["https://shop.example/collected"],
            "trouble": ["/bin/mail", "{name}"],
        }
        browser = Browser(journal, hooks=AskedHooks(words))
        assert call(browser, "POST", "/flows", tokens["operator"], NEW).status == 201
        (row,) = journal.named("default", ["eve"])
        params = Params.from_bytes(journal.saved(row.id)[0])
        assert params.hooks["collected"] == ["https://shop.example/collected"]
        option = {**NEW, "name": "-rf"}
        assert call(browser, "POST", "/flows", tokens["operator"], option).status == 400
        told = {**NEW, "name": "fay", "hooks": {"code": ["https://evil.example"]}}
        assert call(browser, "POST", "/flows", tokens["operator"], told).status == 400

    def test_two_at_once(
        self, browser: Browser, tokens: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever comes second with another secret, at the same moment, is told so too."""
        call(browser, "POST", "/flows", tokens["operator"], NEW)
        monkeypatch.setattr(type(browser.journal), "existing", lambda *_: [])
        assert call(browser, "POST", "/flows", tokens["operator"], NEW).status == 200
        other = {**NEW, "secret": "other"}
        assert call(browser, "POST", "/flows", tokens["operator"], other).status == 409

    def test_what_is_started(self, browser: Browser, tokens: Mapping[str, str]) -> None:
        """The flow has the secret, the console's server, and its deadline."""
        sent = {**NEW, "expires_in": 60, "guesses": 3}
        got = call(browser, "POST", "/flows", tokens["operator"], sent).json()
        (row,) = browser.journal.named("default", ["eve"])
        params = Params.from_bytes(browser.journal.saved(row.id)[0])
        assert params.relay == "ws://relay"
        assert params.params["secret"] == "s3cr3t"
        assert params.params["coding"]["guesses"] == 3
        assert params.deadline is not None
        assert params.deadline - row.created_at == pytest.approx(60, abs=5)
        assert got["status"] == "new"

    def test_a_key_can_be_the_name(self, browser: Browser, tokens: Mapping[str, str]) -> None:
        """For callers that have nothing else that is unique."""
        sent = {"secret": "s3cr3t"}
        key = {"Idempotency-Key": "order-77"}
        got = call(browser, "POST", "/flows", tokens["operator"], sent, **key)
        assert (got.status, got.json()["name"]) == (201, "order-77")
        assert call(browser, "POST", "/flows", tokens["operator"], sent, **key).status == 200
        assert call(browser, "POST", "/flows", tokens["operator"], sent).status == 400

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{",
            b"[" * 5000,
            b"\xff",
            b'{"name": "x"}',
            b'{"name": "", "secret": "s"}',
            b'{"name": "x", "secret": ""}',
            b'{"name": "x", "secret": 7}',
            b'{"name": "x", "secret": "s", "colour": "red"}',
            b'{"name": "x", "secret": "s", "batch": "\\u0000"}',
            b'{"name": "x", "secret": "s", "batch": ""}',
            b'{"name": "x", "secret": "s", "expires_in": true}',
            b'{"name": "x", "secret": "s", "expires_in": 0}',
            b'{"name": "x", "secret": "s", "guesses": 1e9}',
            b'{"name": "\\ud800", "secret": "s"}',
            b'{"name": "x", "secret": "\\ud800"}',
            b'{"name": "a\\u202eb", "secret": "s"}',
        ],
    )
    def test_what_is_not_understood(
        self, browser: Browser, tokens: Mapping[str, str], body: bytes
    ) -> None:
        """Nothing is started."""
        said = {"Authorization": f"Bearer {tokens['operator']}"}
        got = browser.ask("POST", "/api/v1/flows", body, said)
        assert got.status == 400, got
        assert got.json()["error"]
        assert browser.journal.audit(Deeds(action="start")) == []

    def test_what_is_too_large(self, browser: Browser, tokens: Mapping[str, str]) -> None:
        """A bound for the API is less than that of forms."""
        sent = {**NEW, "secret": "x" * LARGEST_BODY}
        assert call(browser, "POST", "/flows", tokens["operator"], sent).status == 413


class TestReading:
    def test_lists(self, browser: Browser, tokens: Mapping[str, str]) -> None:
        """Page by page, with filters, and without codes."""
        names: list[str] = []
        after = ""
        while True:
            path = f"/flows?limit=2&sort=name&kind=provision&after={after}"
            got = call(browser, "GET", path, tokens["viewer"]).json()
            names += [each["name"] for each in got["flows"]]
            if (after := got["next"]) is None:
                break
        assert names == sorted(row.name for row in browser.journal.overview())
        got = call(browser, "GET", "/flows?status=failed", tokens["viewer"]).json()
        assert [each["name"] for each in got["flows"]] == ["bob"]
        assert call(browser, "GET", "/flows?sort=colour", tokens["viewer"]).status == 400

    def test_one(
        self, browser: Browser, tokens: Mapping[str, str], uids: Mapping[str, str]
    ) -> None:
        """With what it shows, but not its code."""
        got = call(browser, "GET", f"/flows/{uids['bob']}", tokens["viewer"]).json()
        assert (got["status"], got["facts"]["reason"]) == ("failed", "the server said no")
        got = call(browser, "GET", f"/flows/{uids['ann']}", tokens["codes"])
        assert "guitar" not in got.body
        assert call(browser, "GET", "/flows/nobody", tokens["viewer"]).status == 404

    def test_a_code(
        self, browser: Browser, tokens: Mapping[str, str], uids: Mapping[str, str]
    ) -> None:
        """Only for its role, and only after it was written down who saw it."""
        path = f"/flows/{uids['ann']}/code"
        assert call(browser, "POST", path, tokens["operator"]).status == 403
        assert browser.journal.audit(Deeds(action="code shown")) == []
        got = call(browser, "POST", path, tokens["codes"])
        assert got.json() == {"code": "7-guitar-revenge"}
        (deed,) = browser.journal.audit(Deeds(action="code shown"))
        assert (deed.who, deed.flow_uid) == ("the codes", uids["ann"])
        assert call(browser, "POST", f"/flows/{uids['dan']}/code", tokens["codes"]).status == 409


class TestActing:
    def test_cancel(
        self, browser: Browser, tokens: Mapping[str, str], uids: Mapping[str, str]
    ) -> None:
        """A flow that is not over is asked to end, by whoever's token it was."""
        got = call(browser, "POST", f"/flows/{uids['ann']}/cancel", tokens["operator"])
        assert (got.status, got.json()["request"]) == (202, CANCEL)
        for name in ("bob", "cleo"):
            path = f"/flows/{uids[name]}/cancel"
            assert call(browser, "POST", path, tokens["operator"]).status == 409
        (deed,) = browser.journal.audit(Deeds(action="cancel"))
        assert (deed.who, deed.name) == ("the operator", "ann")

    def test_retry(
        self, browser: Browser, tokens: Mapping[str, str], uids: Mapping[str, str]
    ) -> None:
        """A flow that failed gets a new code, unless its recipient may have the secret."""
        got = call(browser, "POST", f"/flows/{uids['bob']}/retry", tokens["operator"])
        assert (got.status, got.json()["attempt"]) == (202, 2)
        for name in ("ann", "cleo"):
            path = f"/flows/{uids[name]}/retry"
            assert call(browser, "POST", path, tokens["operator"]).status == 409
        (bob,) = browser.journal.take(names=["bob"])
        move(bob, "failed", finished=True, sent=1)
        path = f"/flows/{uids['bob']}/retry"
        assert call(browser, "POST", path, tokens["operator"]).status == 409
        assert call(browser, "POST", path, tokens["operator"], {"force": True}).status == 202
        assert [d.name for d in browser.journal.audit(Deeds(action="retry"))] == ["bob", "bob"]


class TestWhoMay:
    def test_every_operation_needs_its_role(
        self, browser: Browser, tokens: Mapping[str, str], uids: Mapping[str, str]
    ) -> None:
        """Without a token 401, and with one of a smaller role 403; nothing is done."""
        needs = {
            ("POST", "/flows"): "operator",
            ("GET", "/flows"): "viewer",
            ("GET", "/flows/{uid}"): "viewer",
            ("POST", "/flows/{uid}/cancel"): "operator",
            ("POST", "/flows/{uid}/retry"): "operator",
            ("POST", "/flows/{uid}/code"): "codes",
            ("POST", "/jobs"): "operator",
            ("GET", "/jobs"): "viewer",
            ("GET", "/jobs/{uid}"): "viewer",
            ("POST", "/jobs/{uid}/stop"): "operator",
        }
        documented = {
            (method.upper(), path.removeprefix("/api/v1"))
            for path, operations in DOCUMENT["paths"].items()
            for method in operations
        }
        assert documented == needs.keys()
        for (method, template), role in needs.items():
            path = template.replace("{uid}", uids["ann"])
            assert call(browser, method, path, "").status == 401
            for each in ("viewer", "operator", "codes"):
                if each == role:
                    break
                assert call(browser, method, path, tokens[each], NEW).status == 403
        assert [each.action for each in browser.journal.audit(Deeds())] == ["token made"] * 3

    def test_a_cookie_is_no_token(self, browser: Browser) -> None:
        """So another site cannot use the API in the name of somebody who is logged in."""
        browser.log_in()
        assert browser.get("/api/v1/flows").status == 401
        assert browser.post("/api/v1/flows", {"csrf": browser.csrf}).status == 401

    def test_a_token_that_asks_too_much(
        self, journal: SqlJournal, tokens: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is told when to come again; others are not slowed down."""
        monkeypatch.setattr(service, "CALLS_AT_ONCE", 3)
        browser = Browser(journal)
        statuses = [call(browser, "GET", "/flows", tokens["viewer"]).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        got = call(browser, "GET", "/flows", tokens["viewer"])
        assert call(browser, "GET", "/flows", tokens["codes"]).status == 200
        browser.reactor.advance(float(got.headers["retry-after"]))
        assert call(browser, "GET", "/flows", tokens["viewer"]).status == 200

    def test_nothing_else_is_there(self, browser: Browser, tokens: Mapping[str, str]) -> None:
        """Errors are JSON, and the document is there for everybody."""
        assert browser.call("GET", "/nothing", tokens["codes"]).json()["error"]
        assert browser.call("PUT", "/flows", tokens["codes"]).status == 405
        assert browser.get("/api/v1/openapi.json").json() == DOCUMENT
