"""The console without sockets or threads: requests as bytes, through the real site."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from attrs import define, field, frozen
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from holdfast.console.gate import Proxy
from holdfast.console.listening import Where
from holdfast.console.service import console_of
from holdfast.console.sessions import Sessions
from holdfast.console.site import Console
from holdfast.console.viewers import Role
from holdfast.console.wire import GuardedSite
from holdfast.operating.hooks import NO_HOOKS, AskedHooks
from holdfast_journal import SqlJournal

HOST = "127.0.0.1:8600"


@frozen
class Got:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class InlinePool:
    """A pool whose threads are ours."""

    def callInThreadWithCallback(  # noqa: N802
        self, on_result: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any
    ) -> None:
        try:
            result = function(*args)
        except BaseException:  # noqa: BLE001  as Twisted's pool does
            on_result(False, Failure())
        else:
            on_result(True, result)


class Reactor(Clock):
    """Time, and calls from threads that are made at once."""

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:  # noqa: N802
        function(*args)


@define
class Browser:
    """A console, and somebody who talks to it."""

    journal: SqlJournal
    proxy: Proxy | None = None
    where: Where = field(factory=lambda: Where("127.0.0.1:8600"))
    hooks: AskedHooks = NO_HOOKS
    peer: str = "127.0.0.1"
    cookie: str = ""
    reactor: Reactor = field(factory=Reactor)
    console: Console = field(init=False)
    sessions: Sessions = field(init=False)
    site: GuardedSite = field(init=False)

    def __attrs_post_init__(self) -> None:
        pool: Any = InlinePool()
        self.console, self.sessions = console_of(
            self.reactor,
            self.journal,
            pool,
            "ws://relay",
            "appid",
            self.proxy,
            self.where,
            self.hooks,
        )
        resource = self.console.app.resource()
        self.site = GuardedSite(
            resource, self.reactor, self.where.known_as, secure=self.where.secure
        )

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        chunks: Sequence[bytes] = (),
    ) -> Got:
        """Send a request and return the answer."""
        said = {"Host": HOST, "Connection": "close", **(headers or {})}
        if self.cookie and "Cookie" not in said:
            said["Cookie"] = self.cookie
        if body:
            said.setdefault("Content-Length", str(len(body)))
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in said.items() if v)]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return self._read(self.send(head + body, *chunks))

    def send(self, *pieces: bytes) -> bytes:
        """Send bytes on a new connection, and return those that come back."""
        transport = StringTransport(peerAddress=IPv4Address("TCP", self.peer, 5000))
        channel = self.site.buildProtocol(transport.getPeer())
        channel.makeConnection(transport)
        for piece in pieces:
            channel.dataReceived(piece)
        answer = transport.value()
        channel.connectionLost(Failure(ConnectionDone()))
        return answer

    def _read(self, answer: bytes) -> Got:
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        pairs = [line.partition(": ") for line in rest]
        found = {name.lower(): value for name, _, value in pairs}
        if (given := found.get("set-cookie")) is not None:
            self.cookie = given.partition(";")[0]
        return Got(int(first.split()[1]), found, body.decode())

    def get(self, path: str, **headers: str) -> Got:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Got:
        """Send a form as a browser does, from a page of ours."""
        said = {
            "Origin": f"http://{HOST}",
            "Content-Type": "application/x-www-form-urlencoded",
            **headers,
        }
        return self.ask("POST", path, urlencode(form or {}).encode(), said)

    def log_in(self, role: Role = Role.CODES, name: str = "ada") -> "Browser":
        """Come in by a one-time address."""
        got = self.get(f"/login?key={self.sessions.one_time_key(name, role)}")
        assert got.status == 303, got
        return self

    @property
    def csrf(self) -> str:
        """What our pages put into forms."""
        return self.sessions.csrf(self.cookie.partition("=")[2])

    def call(self, method: str, path: str, token: str, value: object = None, **headers: str) -> Got:
        """Ask the API."""
        said = {"Authorization": f"Bearer {token}" if token else "", **headers}
        return self.ask(
            method, f"/api/v1{path}", b"" if value is None else json.dumps(value).encode(), said
        )
