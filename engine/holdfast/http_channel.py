"""What both of our web servers, the console and telemetry, bear that Twisted's does not."""

from __future__ import annotations

from typing import Any, Final

from twisted.web.http import HTTPChannel

LONGEST_LENGTH: Final = 100
"""Characters of the header that says how long a body is."""


class GuardedChannel(HTTPChannel):
    """Twisted's HTTP/1.1, which would fail at a length that Python does not take for a number."""

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802 - Twisted's
        """Take a header; refuse a length of more digits than any length has."""
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and len(value) > LONGEST_LENGTH:
            transport: Any = self.transport
            transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            transport.loseConnection()
            return False
        return bool(HTTPChannel.headerReceived(self, line))
