"""What a recipient is told: the command to type, and the address in a QR code.

Sources: uri-scheme.md (the address).
"""

from __future__ import annotations

import shlex
from urllib.parse import quote, urlsplit

from holdfast.operating.refused import Refused
from holdfast.rendezvous import DEFAULT_RELAY
from holdfast.transfer import APPID

COLLECTED = ("provision", "provision-file", "send", "send-file")
"""The kinds of flows that a stock client collects from."""

_SCHEME = "wormhole-transfer:"
_ENDPOINT = "/v1"
_PORTS = {"ws": 80, "wss": 443}


def receive_command(code: str, relay: str, appid: str = APPID) -> str:
    """Return the stock client's command that collects, as it is typed into a shell.

    It names the mailbox server and the application only where they are not the stock client's own.
    """
    return _stock_command(relay, None if appid == APPID else appid, "receive", code)


def accept_key_command(code: str, relay: str, appid: str | None = None) -> str:
    """Return the stock client's command that sends a public SSH key, likewise.

    Args:
        code: the code.
        relay: the mailbox server.
        appid: the application's identifier, if it is not the stock client's own for keys.
    """
    return _stock_command(relay, appid, "ssh", "accept", code)


def join_grid_command(code: str, relay: str, appid: str) -> str:
    """Return the command that makes a client of a Tahoe-LAFS grid.

    Tahoe-LAFS has a mailbox server of its own unless it is told of another.
    """
    from holdfast.flows.shipped import tahoe

    words = ["tahoe", f"--wormhole-server={relay}"]
    if appid != tahoe.APPID:
        words.append(f"--wormhole-invite-appid={appid}")
    return shlex.join([*words, "create-client", f"--join={code}"])


def _stock_command(relay: str, appid: str | None, *rest: str) -> str:
    words = ["wormhole"]
    if appid is not None:
        words += ["--appid", appid]
    if relay != DEFAULT_RELAY:
        words += ["--relay-url", relay]
    return shlex.join([*words, *rest])


def special_command(relay: str, appid: str) -> str | None:
    """Return the command with CODE in the place of a code; None if the code alone is enough."""
    if (relay, appid) == (DEFAULT_RELAY, APPID):
        return None
    return receive_command("CODE", relay, appid)


def transfer_uri(code: str, relay: str, appid: str = APPID) -> str:
    """Return the address that wormhole applications scan, with the server if it is not the usual.

    The address names a server without the path `/v1`, which the application adds, and always with
    its port.

    Raises:
        Refused: no such address exists, because the application is not file transfer, or the
            server's path is another one.
    """
    if appid != APPID:
        raise Refused("a QR code is only for the application id of the stock clients")
    address = _SCHEME + quote(code, safe="-")
    if relay == DEFAULT_RELAY:
        return address
    parts = urlsplit(relay)
    host = parts.hostname or ""
    if parts.query or not parts.path.endswith(_ENDPOINT):
        raise Refused(f"a QR code can only name a mailbox server whose URL ends with {_ENDPOINT}")
    host = f"[{host}]" if ":" in host else host
    path = parts.path.removesuffix(_ENDPOINT)
    server = f"{parts.scheme}://{host}:{parts.port or _PORTS[parts.scheme]}{path}"
    return f"{address}?rendezvous={quote(server, safe='')}"
