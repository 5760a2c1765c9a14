"""Stock peers that dilate, in one child process; see `dilated_peer`."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.harness.closing import Closing
from tests.harness.process import Child
from tests.harness.streams import Stream
from tests.harness.waiting import DEADLINE

LOWEST, HIGHEST = "0" * 16, "f" * 16
"""Names in `please` with which an end follows, and leads, whatever the other one's is."""


def wanted(streams: Iterable[Stream], end: str) -> dict[str, dict[str, Any]]:
    """What an end says of these streams if all is well."""
    there = "b" if end == "a" else "a"
    return {
        stream.name: {"sent": stream.count(end), "received": stream.count(there), "wrong": None}
        for stream in streams
    }


class DilatedPeers(Closing):
    """Many stock peers, each of which talks streams with somebody who has its code."""

    def __init__(self, relay_url: str) -> None:
        self._changed = threading.Condition()
        self._said: dict[str, list[dict[str, Any]]] = {}
        self.errors: list[str] = []
        """What their log was told of."""
        program = Path(__file__).with_name("dilated_peer.py")
        words = [sys.executable, program, "--relay-url", relay_url]
        self._child = Child(words, stdin=subprocess.PIPE, on_line=self._heard)

    def start(
        self, code: str, streams: Iterable[Stream], *, end: str = "b", **options: Any
    ) -> None:
        """Start one, whose id is its code; see `dilated_peer` for the options."""
        with self._changed:
            assert code not in self._said, f"{code} was started already"
            self._said[code] = []
        asked = {"id": code, "code": code, "end": end, "streams": [s.to_json() for s in streams]}
        self._child.write(json.dumps(asked | options) + "\n")

    def talks(self, code: str, timeout: float = DEADLINE) -> dict[str, dict[str, Any]]:
        """Wait until all streams of this one have ended; return what became of them."""
        talks: dict[str, dict[str, Any]] = self._wait(code, "talks", timeout)
        return talks

    def has_ended(self, code: str) -> bool:
        """Whether all its streams have ended."""
        return bool(self._find(code, "talks"))

    def ways(self, code: str) -> list[str]:
        """How it was connected, one time after another."""
        return [str(each) for each in self._find(code, "way")]

    def leave(self, code: str, timeout: float = DEADLINE) -> str:
        """Let it close its wormhole; return how that ended."""
        self._child.write(json.dumps({"id": code, "close": True}) + "\n")
        return str(self._wait(code, "closed", timeout))

    def pause(self) -> None:
        """Let all of them stand still."""
        self._child.signal(19)

    def resume(self) -> None:
        """Let them go on."""
        self._child.signal(18)

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def describe(self, code: str) -> str:
        """Return all that one has said, for a failure's text."""
        with self._changed:
            return f"{self._said[code]}\n{self.errors}\n{self._child.describe()}"

    def _find(self, code: str, what: str) -> list[Any]:
        with self._changed:
            return [said[what] for said in self._said[code] if what in said]

    def _wait(self, code: str, what: str, timeout: float) -> Any:
        end = time.monotonic() + timeout
        while not (found := self._find(code, what)):
            left = end - time.monotonic()
            assert left > 0 and self._child.alive, f"no {what}: {self.describe(code)}"
            with self._changed:
                self._changed.wait(min(left, 0.2))
        return found[0]

    def _heard(self, line: str) -> None:
        said = json.loads(line)
        with self._changed:
            if "error" in said:
                self.errors.append(said["error"])
            else:
                self._said[said["id"]].append(said)
            self._changed.notify_all()
