"""Stock peers in child processes: the Python client, and the Go one where it is installed."""

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from attrs import frozen

from tests.harness.closing import Closing
from tests.harness.process import BIN, Child
from tests.harness.waiting import DEADLINE


@frozen
class Received:
    """How one `wormhole receive` ended.

    `text` is what it printed, without the final newline: the secret as `shown()` has it.
    `error` is the type of the stock client's error ("WrongPasswordError",
    "ServerConnectionError", ...), or None.
    """

    ok: bool
    text: str
    error: str | None = None
    detail: str | None = None


def shown(secret: str) -> str:
    """Return what the stock Python client prints for a text, without the final newline.

    It shows a text safely for a terminal: a newline, say, as backslash and n.
    """
    return repr(secret)[1:-1]


class StockReceivers(Closing):
    """Many `wormhole receive CODE`, at once or one after another, in ONE child process.

    Each is the stock client's own receive command, its acknowledgement included. A failure to
    connect at all ends it, as it ends the stock client: start one only while the server runs.
    """

    def __init__(self, relay_url: str) -> None:
        self._changed = threading.Condition()
        self._outcomes: dict[str, Received] = {}
        self._asked: list[str] = []
        program = Path(__file__).with_name("stock_receivers.py")
        self._child = Child(
            [sys.executable, program, "--relay-url", relay_url],
            stdin=subprocess.PIPE,
            on_line=self._answered,
        )

    @property
    def outcomes(self) -> dict[str, Received]:
        """Those that have ended, by id."""
        with self._changed:
            return dict(self._outcomes)

    @property
    def ended(self) -> set[str]:
        """The ids of those that have ended."""
        return set(self.outcomes)

    def receive(self, code: str, id: str | None = None, out: Path | None = None) -> str:
        """Start one; return its id, by default the code. An id serves once.

        If it is to be a file or folder, it belongs at *out*.
        """
        name = code if id is None else id
        assert name not in self._asked, f"{name} was started already"
        self._asked.append(name)
        place = {} if out is None else {"out": str(out)}
        self._child.write(json.dumps({"id": name, "code": code, **place}) + "\n")
        return name

    def send(self, code: str, text: str) -> str:
        """Start a `wormhole send --text TEXT --code CODE` among them; its id is the code."""
        assert code not in self._asked, f"{code} was started already"
        self._asked.append(code)
        self._child.write(json.dumps({"id": code, "code": code, "send": text}) + "\n")
        return code

    def wait(self, id: str, timeout: float = DEADLINE) -> Received:
        """Wait for the end of one and return it."""
        return self.wait_all([id], timeout)[id]

    def wait_all(
        self, ids: list[str] | None = None, timeout: float = DEADLINE
    ) -> dict[str, Received]:
        """Wait for the end of these, or of all that were started; return all that ended."""
        wanted = set(self._asked if ids is None else ids)
        end = time.monotonic() + timeout
        with self._changed:
            while missing := wanted - self._outcomes.keys():
                left = end - time.monotonic()
                if left <= 0 or not self._child.alive:
                    raise AssertionError(f"no end for {sorted(missing)}\n{self._child.describe()}")
                self._changed.wait(min(left, 0.2))
            return dict(self._outcomes)

    def kill9(self) -> None:
        """Let all of them vanish."""
        self._child.kill9()

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def _answered(self, line: str) -> None:
        said = json.loads(line)
        with self._changed:
            assert said["id"] not in self._outcomes, f"two ends for {said['id']}"
            self._outcomes[said["id"]] = Received(
                said["ok"], said["text"].removesuffix("\n"), said.get("error"), said.get("detail")
            )
            self._changed.notify_all()


def wormhole_receive(relay_url: str, code: str) -> Child:
    """Start the installed `wormhole receive CODE`; the text is its standard output."""
    return Child([BIN / "wormhole", "--relay-url", relay_url, "receive", "--hide-progress", code])


def wormhole_send(relay_url: str, text: str, code: str | None = None) -> Child:
    """Start the installed `wormhole send --text TEXT`; `code_of()` reads its code."""
    chosen = [] if code is None else ["--code", code]
    return Child(
        [
            *(BIN / "wormhole", "--relay-url", relay_url),
            *("send", "--hide-progress", "--no-qr", "--text", text, *chosen),
        ]
    )


def wormhole_receive_file(
    relay_url: str, code: str, into: Path, transit: str | None = None
) -> Child:
    """Start the installed `wormhole receive --accept-file CODE` in the folder *into*.

    If there is a *transit* relay, that is its only way.
    """
    place = [BIN / "wormhole", "--relay-url", relay_url, "--transit-helper", transit or ""]
    ways = [] if transit is None else ["--no-listen"]
    return Child([*place, "receive", "--hide-progress", "--accept-file", *ways, code], cwd=into)


def wormhole_send_file(relay_url: str, path: Path) -> Child:
    """Start the installed `wormhole send PATH`; `code_of()` reads its code."""
    place = [BIN / "wormhole", "--relay-url", relay_url, "--transit-helper", ""]
    return Child([*place, "send", "--hide-progress", "--no-qr", path])


def code_of(sender: Child, timeout: float = DEADLINE) -> str:
    """Wait until a stock sender, of either kind, has said its code; return it."""
    stream = "out" if Path(sender.command[0]).name == "wormhole-william" else "err"
    return sender.wait_for(r"^Wormhole code is: (\S+)$", timeout, stream)[1]


WILLIAM = shutil.which("wormhole-william")
"""Where the Go client is, or None."""

needs_william = pytest.mark.skipif(
    WILLIAM is None, reason="wormhole-william, the Go client, is not installed (a Debian package)"
)


class WilliamFailed(Exception):
    """The Go client could not decrypt what it got, as it said.

    One in 256 of its key agreements fails, with any other client and for any code: its library
    (gospake2 0.2.1) leaves out zero bytes at the end of the element that both share. Of 7,800 with
    ours 35 failed, and exactly those had such an element. `tests/conftest.py` begins a test anew
    that fails for this alone; if we sent it nonsense, it would fail again.
    """


class _William(Child):
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if isinstance(error, AssertionError) and "decrypt message failed" in self.err + self.out:
            raise WilliamFailed(self.describe()) from error


def _william(*words: str | Path, program: Path | None = None, **options: Any) -> Child:
    assert WILLIAM is not None, "a test of the Go client is marked with needs_william"
    return _William([program or WILLIAM, *words], **options)


_WILLIAMS_RELAY = b"transit.magic-wormhole.io:4001"


def william_with_relay(program: Path, port: int) -> Path:
    """Write a copy of the Go client to *program* that knows a transit relay at `[::1]:port`.

    It cannot be told of one, and as a sender gives up if the one in its program, which is on the
    internet, is out of reach. So the copy has another address there, of the same length.
    """
    assert WILLIAM is not None, "a test of the Go client is marked with needs_william"
    code = Path(WILLIAM).read_bytes()
    widths = _spread(len(_WILLIAMS_RELAY) - len(f"[:::::::1]:{port}"))
    address = ":".join(["0" * width for width in widths] + ["1"])
    replaced = code.replace(_WILLIAMS_RELAY, f"[{address}]:{port}".encode())
    assert replaced != code and len(replaced) == len(code), "this Go client has no such relay"
    program.write_bytes(replaced)
    program.chmod(0o700)
    return program


def _spread(digits: int) -> list[int]:
    """Return the widths, 1 to 4, of seven groups that have so many digits together."""
    widths = [1] * 7
    for _ in range(digits - 7):
        widths[widths.index(min(widths))] += 1
    return widths


def william_receive_file(relay_url: str, code: str, into: Path) -> Child:
    """Start the Go client's `receive CODE` in the folder *into*, and accept what is offered."""
    child = william_receive(relay_url, code, cwd=into, stdin=subprocess.PIPE)
    child.write("y\n")
    return child


def william_send_file(relay_url: str, path: Path, program: Path) -> Child:
    """Start a Go client's `send PATH`; see `william_with_relay`."""
    return _william("--relay-url", relay_url, "send", "--hide-progress", path, program=program)


def william_receive(relay_url: str, code: str, **options: Any) -> Child:
    """Start the Go client's `receive CODE`; the text is on its standard output.

    It asks on its standard input before it takes a file.
    """
    return _william("--relay-url", relay_url, "receive", "--hide-progress", code, **options)


def william_send(relay_url: str, text: str, code: str | None = None) -> Child:
    """Start the Go client's `send --text TEXT`; `code_of()` reads its code."""
    chosen = [] if code is None else ["--code", code]
    return _william("--relay-url", relay_url, "send", "--hide-progress", "--text", text, *chosen)
