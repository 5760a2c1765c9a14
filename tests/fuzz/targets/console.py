"""What anybody may send to the console, by pages and by the API, logged in or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

from holdfast.console.guarding import CSP
from holdfast.console.pages import PAGES
from holdfast.console.viewers import Role
from holdfast_journal import Actor, SqlJournal
from tests.cli.journals import move, start
from tests.console.browser import HOST, Browser
from tests.fuzz.target import expect, target
from tests.harness.reactor import flush_logged_errors

CODE = b"7-guitar-revenge"

QUERY = (
    "q=a*&status=failed&kind=provision&batch=b&since=8h&sort=name&limit=2&after=WzAsICJhIiwgMV0"
    "&state=failing&task=mint&who=ada&action=login&before=9"
)


@cache
def _browser() -> tuple[Browser, str, str]:
    """A console with a flow, somebody who is logged in, and a token and a uid for the API."""
    journal = SqlJournal.open_inline("sqlite://", environ={"HOLDFAST_KEY": "ab" * 32})
    move(start(journal, "ann")["ann"], "waiting", code=CODE.decode())
    token = journal.tokens.make("fuzz", "operator", None, Actor("ada", "here", "command"))
    browser = Browser(journal).log_in(Role.OPERATOR)
    return browser, token, journal.overview()[0].uid


def _requests() -> Iterator[bytes]:
    for page in PAGES:
        method = getattr(page, "method", "GET")
        form = b"csrf=@csrf&why=because&id=1" if method == "POST" else b""
        path = page.path.replace("<uid>", "@uid").replace("<worker>", "1")
        yield _request(method, f"{path}?{QUERY}", form, "Cookie: @cookie", f"Origin: http://{HOST}")
    yield _request("POST", "/login", b"token=hf_x", f"Origin: http://{HOST}")
    yield _request("GET", "/login?key=x", b"")
    yield _request("GET", "/static/console.css", b"", 'If-None-Match: "x"')
    new = {"name": "eve", "secret": "s3cr3t", "batch": "b", "expires_in": 60, "guesses": 2}
    bearer = "Authorization: Bearer @token"
    yield _request("POST", "/api/v1/flows", json.dumps(new).encode(), bearer)
    yield _request("GET", f"/api/v1/flows?{QUERY}", b"", bearer)
    yield _request("GET", "/api/v1/flows/@uid", b"", bearer)
    for what in ("cancel", "retry", "code"):
        yield _request("POST", f"/api/v1/flows/@uid/{what}", b'{"force": true}', bearer)


def _request(method: str, path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Connection: close", *headers]
    if body:
        lines += ["Content-Type: application/x-www-form-urlencoded", "Content-Length: @length"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@target(seeds=_requests, examples=40)
def console_requests(data: bytes) -> None:
    """Each request is answered in words, with the headers of all answers, and nothing is logged."""
    browser, token, uid = _browser()
    for name, value in {
        "@cookie": browser.cookie,
        "@csrf": browser.csrf,
        "@token": token,
        "@uid": uid,
        "@length": str(len(data.partition(b"\r\n\r\n")[2])),
    }.items():
        data = data.replace(name.encode(), value.encode())
    answer = browser.send(data)
    browser.reactor.advance(1)
    logged = flush_logged_errors()
    expect(not logged, f"logged: {logged[:1]}")
    if not answer.startswith(b"HTTP/1."):
        expect(answer == b"", "this is no answer")
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    expect(status < 500, f"status {status}")
    expect(CODE not in body, "a code was shown")
    expect(status == 400 or CSP.encode() in head, "headers are missing")
