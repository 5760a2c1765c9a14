"""A receiver of webhooks on loopback, in a thread: it keeps what it hears, and answers as asked."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import frozen

from tests.harness.closing import Closing

SECRET = "a-secret-that-is-long-enough"


@frozen
class Told:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers["webhook-id"]

    def is_signed(self, secret: str = SECRET) -> bool:
        """Whether one of its signatures is right, as the specification has it."""
        content = f"{self.key}.{self.headers['webhook-timestamp']}.".encode() + self.body
        digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
        ours = f"v1,{base64.b64encode(digest).decode()}"
        return ours in self.headers["webhook-signature"].split(" ")


class Receiver(Closing):
    """Says 204, or what `answer` says for a path and a message."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.answer: Callable[[Told], int] = lambda _: 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                told = Told(self.path, headers, body)
                status = receiver.answer(told)
                receiver.told.append(told)
                self.send_response(status)
                self.send_header("location", f"{receiver.url}elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def events(self) -> list[str]:
        """The events in the order in which they came."""
        return [told.message["event"] for told in tuple(self.told)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
