"""The signed POST: what is sent, to whom, and what a hostile receiver can do about it."""

import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError

from holdfast.flows.shipped.signing import (
    BadHookSecret,
    BadHookUrl,
    check_url,
    secrets_in,
    signed,
)
from holdfast.flows.shipped.webhook import LONGEST_ANSWER, post
from holdfast.flows.tasks import TaskFailed
from tests.harness.reactor import run
from tests.harness.webhooks import SECRET, Receiver

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOOK_SECRET", f"{SECRET} another-one-that-is-newer")


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """A receiver that does this with one connection, once a request is there."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                while b"}" not in connection.recv(65_536):
                    pass
                try:
                    answer(connection)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
        thread.join(20)


def send(url: str, timeout: float = 30) -> None:
    run(lambda: post(reactor, url, b'{"event": "code"}', KEY), timeout)


def test_what_is_sent() -> None:
    """A POST whose signature holds under each secret; its body is byte for byte what was given."""
    with Receiver() as receiver:
        send(f"{receiver.url}a/path?q=1")
        (told,) = receiver.told
    assert told.path == "/a/path?q=1"
    assert told.body == b'{"event": "code"}'
    assert told.key == KEY
    assert told.headers["content-type"] == "application/json"
    assert told.is_signed()
    assert told.is_signed("another-one-that-is-newer")
    assert not told.is_signed("a-secret-that-nobody-has")


@pytest.mark.parametrize(
    ("status", "why"), [(302, "says 302"), (404, "says 404"), (500, "says 500"), (410, "no more")]
)
def test_an_answer_that_is_no(status: int, why: str) -> None:
    """Anything but 2xx is a failure, and a redirect is not followed; 410 is final."""
    with Receiver() as receiver:
        receiver.answer = lambda _: status
        with pytest.raises(TaskFailed, match=why) as raised:
            send(receiver.url)
        assert len(receiver.told) == 1
    assert raised.value.final == (status == 410)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda connection: connection.sendall(b"220 mail\r\n\r\n"), "not HTTP"),
        (lambda connection: connection.sendall(b"\x16\x03\x01" * 9 + b"\r\n"), "not HTTP"),
        (lambda connection: connection.close(), "cut the connection|was lost"),
        (
            lambda connection: connection.sendall(HEAD + b"x: y\r\n" * LONGEST_ANSWER),
            "was lost|cut the connection",
        ),
    ],
    ids=["another protocol", "noise", "silence", "an endless head"],
)
def test_a_hostile_answer(answer: Callable[[socket.socket], object], why: str) -> None:
    """It is a failure in words, and costs no more than its bounds."""
    with answering(answer) as url, pytest.raises(TaskFailed, match=why):
        send(url)


def test_an_endless_body() -> None:
    """The answer counts that came first, and the rest is cut off."""
    body = b"x" * LONGEST_ANSWER

    def answer(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"content-length: 999999999\r\n\r\n")
        while True:
            connection.sendall(body)

    with answering(answer) as url:
        send(url)


def test_a_receiver_that_is_slow() -> None:
    """Whoever waits no longer ends the connection."""
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionResetError):
            assert not connection.recv(1)
        ended.set()

    with answering(answer) as url, pytest.raises((TimeoutError, TaskFailed, CancelledError)):
        send(url, 0.2)
    assert ended.wait(20)


def test_nobody_there() -> None:
    """It says so; and without a secret nobody is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TaskFailed, match="refuses connections"):
        send(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook?token=1",
        "https://[2001:db8::1]:8443/",
        "http://127.0.0.1:8000/",
        "http://127.8.9.1/",
        "http://[::1]:8000/",
        "http://localhost/",
    ],
)
def test_urls(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://shop.example/", "use https:"),
        ("http://localhost.example/", "use https:"),
        ("http://192.0.2.1/", "use https:"),
        ("https://me:secret@shop.example/", "user name"),
        ("https:///path", "not an https: URL"),
        ("ftp://shop.example/", "not an https: URL"),
        ("https://shop.example/a b", "a blank"),
        ("https://shop.example:99999/", "not a URL"),
        ("https://[shop/", "not a URL"),
        ("https://schöp.example/", "not a URL"),
    ],
)
def test_no_urls(url: str, why: str) -> None:
    """Each is refused, and what it holds is not repeated."""
    with pytest.raises(BadHookUrl, match=why) as raised:
        check_url(url)
    assert "secret" not in str(raised.value)


def test_secrets(tmp_path: Path) -> None:
    """From the variable or the file, as they are or in the specification's base64."""
    file = tmp_path / "secret"
    file.write_text("the-secret-of-the-file\n")
    from_file = {"HOLDFAST_HOOK_SECRET_FILE": str(file)}
    assert secrets_in(from_file) == [b"the-secret-of-the-file"]
    text = f"whsec_{base64.b64encode(bytes(range(24))).decode()}"
    assert secrets_in(from_file | {"HOLDFAST_HOOK_SECRET": text}) == [bytes(range(24))]
    missing = {"HOLDFAST_HOOK_SECRET_FILE": str(tmp_path / "no")}
    for environ in ({}, {"HOLDFAST_HOOK_SECRET": "short"}, {"HOLDFAST_HOOK_SECRET": "whsec_?"}):
        with pytest.raises(BadHookSecret):
            secrets_in(environ)
    with pytest.raises(BadHookSecret, match="No such file"):
        secrets_in(missing)


def test_the_specifications_example() -> None:
    """The signature is the one that the specification's own libraries make."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
