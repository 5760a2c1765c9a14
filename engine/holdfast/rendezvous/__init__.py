"""Talking to mailbox servers: the WebSocket, dialling, reconnecting, and the frames' form."""

from typing import Final

MOST_CONNECTIONS: Final = 2000
"""Connections that one process has open unless it is told otherwise; a flow takes about 60 kB."""

DEFAULT_RELAY: Final = "ws://relay.magic-wormhole.io:4000/v1"
"""The mailbox server that the stock clients use."""

RELAY_VARIABLES: Final = ("HOLDFAST_RELAY", "WORMHOLE_RELAY_URL")
"""Which environment variables name another one: the first that is set, ours or the stock client's.
To both, one that is empty is not set."""
