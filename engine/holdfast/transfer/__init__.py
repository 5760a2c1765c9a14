"""What the two sides of a transfer say to each other.

The constants are here, and not beside the messages, so that a command line can check what it is
given without importing the protocol.
"""

from typing import Final

APPID: Final = "lothar.com/wormhole/text-or-file-xfer"
"""The application id of the stock client's `send` and `receive` (server-protocol.md, "Application
IDs")."""

LONGEST_TEXT: Final = 15_000
"""Bytes (UTF-8) of the longest text: some clients drop WebSocket messages over 32 KiB, and a text
doubles its size on its way."""

LONGEST_ENCODED: Final = 16_000
"""Bytes of the longest text as it is written in its message, where line ends, quotation marks and
backslashes take two bytes or more: with everything around it, a frame of 32 KiB."""
