"""Where things are: the database, the mailbox server, the transit relay, the application id."""

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from holdfast.operating.printable import is_hidden, quoted
from holdfast.operating.refused import Refused
from holdfast.rendezvous import DEFAULT_RELAY

DEFAULT_TRANSIT = "tcp:transit.magic-wormhole.io:4001"
"""The transit relay that the stock clients use."""

_LONGEST = 2000

_TRANSIT = re.compile(
    r"(?:tcp:)?(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9._-]{1,253}))"
    r":(?P<port>[0-9]{1,5})"
)


@frozen
class TransitRelay:
    """Where a transit relay listens: a host name or an address without brackets, and a port."""

    host: str
    port: int


def default_database() -> str:
    """Return the URL of the SQLite file in the platform's state directory."""
    import platformdirs  # takes longer than the rest of this module

    return sqlite_url(Path(platformdirs.user_state_dir("holdfast"), "holdfast.db"))


def sqlite_url(path: Path, where: str = "the default database") -> str:
    """Return the SQLAlchemy URL of an SQLite file; `where` says in errors where it was named.

    Raises `Refused` for a path that SQLAlchemy would take for something else.
    """
    try:
        absolute = str(path.expanduser().absolute())
    except RuntimeError:
        raise Refused(f"{where}: {quoted(str(path))}: there is no such home directory") from None
    if "?" in absolute or "%" in absolute:
        # SQLAlchemy takes what follows a question mark as options; from 2.1 on, %20 as a space.
        raise Refused(
            f"{where}: {quoted(absolute, 200)}: the path of a database cannot hold a question"
            " mark or a percent sign"
        )
    return f"sqlite:///{absolute}"


def is_line(value: str) -> bool:
    """Whether `value` is one line, with something visible in it, and not too long."""
    return bool(value.strip()) and len(value) <= _LONGEST and not any(map(is_hidden, value))


def checked_relay(url: str, where: str) -> str:
    """Return `url` if it is that of a WebSocket server.

    Raises `Refused`, which never repeats a URL that may hold a password.
    """
    parts = _split(url, where)
    shown = where if "@" in url else f"{where}: {quoted(url)}"
    if parts.username is not None or parts.password is not None:
        raise Refused(f"{where}: a mailbox server's URL has no user name and no password")
    if parts.scheme not in ("ws", "wss"):
        raise Refused(
            f"{shown} is not a mailbox server's URL, which begins with ws:// or wss://,"
            f" such as {DEFAULT_RELAY}"
        )
    if not parts.hostname:
        raise Refused(f"{shown} names no host; an example is {DEFAULT_RELAY}")
    if parts.fragment:
        raise Refused(f"{shown} has a part after '#', which no server would see")
    from holdfast.rendezvous.relay_url import BadRelayUrl, parse_relay_url  # takes its time

    try:
        parse_relay_url(url)  # the code that connects later has rules of its own
    except BadRelayUrl as error:
        raise Refused(f"{where}: {error}") from None
    return url


def checked_transit(value: str, where: str) -> TransitRelay | None:
    """Return the relay that `value` names; None, for no relay, if it is empty or `none`.

    It is `tcp:HOST:PORT`, as the stock clients write it, or without `tcp:`; an IPv6 address stands
    in brackets. Raises `Refused`.
    """
    if value.strip().lower() in ("", "none"):
        return None
    match = _TRANSIT.fullmatch(value.strip())
    shown = f"{where}: {quoted(value)}"
    if match is None:
        raise Refused(
            f"{shown} is not a transit relay, which is written tcp:HOST:PORT, such as"
            f" {DEFAULT_TRANSIT}; an IPv6 address stands in brackets, and `none` is for no relay"
        )
    port = int(match["port"])
    if not 1 <= port <= 65535:
        raise Refused(f"{shown}: the port must be a number from 1 to 65535")
    if match["six"] is None:
        return TransitRelay(match["host"], port)
    try:
        return TransitRelay(str(ipaddress.IPv6Address(match["six"])), port)
    except ValueError:
        raise Refused(f"{shown}: what is in brackets is not an IPv6 address") from None


def _split(url: str, where: str) -> SplitResult:
    malformed = f"{where}: malformed URL; an example is {DEFAULT_RELAY}"
    # urlsplit() silently drops tabs and line ends, so they are looked for first.
    if len(url) > _LONGEST or any(is_hidden(each) or each.isspace() for each in url):
        raise Refused(malformed)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Refused(malformed) from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise Refused(f"{where}: the port must be a number from 1 to 65535")
    return parts
