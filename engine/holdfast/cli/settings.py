"""What every command needs to know: which database, which mailbox server, which application.

Each is an option, or a variable of the environment, or a default, in this order.
Values are checked while the command line is parsed, so that a wrong one starts nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import click

from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.printable import is_hidden, quoted

DEFAULT_RELAY = "ws://relay.magic-wormhole.io:4000/v1"
"""The mailbox server that the stock clients use."""

DEFAULT_APPID = "lothar.com/wormhole/text-or-file-xfer"
"""The application id of the stock clients' send and receive (server-protocol.md, "Application
IDs")."""

DEFAULT_CONNECTIONS = 2000
"""How many connections one process has open; a connected flow weighs some 60 kB."""

_LONGEST = 2000

Command = TypeVar("Command", bound=Callable[..., Any])


def default_database() -> str:
    """Return the URL of the SQLite file in the platform's state directory."""
    import platformdirs  # takes longer than the rest of this module

    return sqlite_url(Path(platformdirs.user_state_dir("holdfast"), "holdfast.db"))


def sqlite_url(path: Path, where: str = "the default database") -> str:
    """Return the SQLAlchemy URL of an SQLite file; ``where`` says in errors who named it.

    Raises :class:`Failure` for a path that SQLAlchemy would take for something else.
    """
    try:
        absolute = str(path.expanduser().absolute())
    except RuntimeError:
        raise Failure(f"{where}: {quoted(str(path))}: there is no such home directory") from None
    if "?" in absolute or "%" in absolute:
        # What follows a question mark would be options; from 2.1 on, %20 would be a space.
        raise Failure(
            f"{where}: {quoted(absolute, 200)}: the path of a database cannot hold a question"
            " mark or a percent sign"
        )
    return f"sqlite:///{absolute}"


def where_from(ctx: click.Context, param: click.Parameter) -> str:
    """Name the place that a value came from: ``--relay``, or ``HOLDFAST_RELAY``."""
    if isinstance(param.envvar, str) and param.name is not None:
        source = ctx.get_parameter_source(param.name)
        if source is click.core.ParameterSource.ENVIRONMENT:
            return param.envvar
    return param.opts[0]


def _database(ctx: click.Context, param: click.Parameter, value: str) -> str:
    where = where_from(ctx, param)
    if not _is_line(value):
        raise Failure(f"{where}: neither a database URL nor the path of a file")
    if "://" in value:
        return value  # whether it is one of a database is found when it is opened
    return sqlite_url(Path(value), where)


def _relay(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return checked_relay(value, where_from(ctx, param))


def _appid(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not _is_line(value):
        where = where_from(ctx, param)
        raise Failure(f"{where}: an application id is one line, such as {DEFAULT_APPID}")
    return value


def _is_line(value: str) -> bool:
    return bool(value.strip()) and len(value) <= _LONGEST and not any(map(is_hidden, value))


def checked_relay(url: str, where: str) -> str:
    """Return ``url`` if it is that of a WebSocket server.

    Raises :class:`Failure`, which never repeats a URL that may hold a password.
    """
    parts = _split(url, where)
    shown = where if "@" in url else f"{where}: {quoted(url)}"
    if parts.username is not None or parts.password is not None:
        raise Failure(f"{where}: a mailbox server's URL has no user name and no password")
    if parts.scheme not in ("ws", "wss"):
        raise Failure(
            f"{shown} is not a mailbox server's URL, which begins with ws:// or wss://,"
            f" such as {DEFAULT_RELAY}"
        )
    if not parts.hostname:
        raise Failure(f"{shown} names no host; an example is {DEFAULT_RELAY}")
    if parts.fragment:
        raise Failure(f"{shown} has a part after '#', which no server would see")
    from holdfast.rendezvous.relay_url import BadRelayUrl, parse_relay_url  # takes its time

    try:
        parse_relay_url(url)  # what connects later has rules of its own
    except BadRelayUrl as error:
        raise Failure(f"{where}: {error}") from None
    return url


def _split(url: str, where: str) -> SplitResult:
    malformed = f"{where}: malformed URL; an example is {DEFAULT_RELAY}"
    # urlsplit() silently drops tabs and line ends, so they are looked for first.
    if len(url) > _LONGEST or any(is_hidden(each) or each.isspace() for each in url):
        raise Failure(malformed)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Failure(malformed) from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise Failure(f"{where}: the port must be a number from 1 to 65535")
    return parts


def db_option(command: Command) -> Command:
    """Add ``--db``; the command gets ``db: str``, a SQLAlchemy URL."""
    return click.option(
        "--db",
        metavar="URL|FILE",
        callback=_database,
        envvar="HOLDFAST_DB",
        default=default_database,
        show_default="holdfast.db in your state directory",
        show_envvar=True,
        help="The database: a SQLAlchemy URL, or the path of an SQLite file.",
    )(command)


def relay_option(command: Command) -> Command:
    """Add ``--relay``; the command gets ``relay: str``, a checked WebSocket URL."""
    return click.option(
        "--relay",
        metavar="URL",
        callback=_relay,
        envvar="HOLDFAST_RELAY",
        default=DEFAULT_RELAY,
        show_default=True,
        show_envvar=True,
        help="The mailbox server where both sides meet.",
    )(command)


def appid_option(command: Command) -> Command:
    """Add ``--appid``; the command gets ``appid: str``."""
    return click.option(
        "--appid",
        metavar="ID",
        callback=_appid,
        envvar="HOLDFAST_APPID",
        default=DEFAULT_APPID,
        show_default=True,
        show_envvar=True,
        help="The application id; the default is the stock clients'.",
    )(command)


def retain_option(command: Command) -> Command:
    """Add ``--retain``; the command gets ``retain: float | None``, seconds."""
    return click.option(
        "--retain",
        type=Duration(),
        metavar="DURATION",
        help="Keep the key of a flow that went well, was cancelled or expired for this long: 8h,"
        " 30d. What it did can be read until then, its secret included. Without, the key is deleted"
        " when the flow ends.",
    )(command)


def connections_option(command: Command) -> Command:
    """Add ``--connections``; the command gets ``connections: int``."""
    return click.option(
        "--connections",
        type=click.IntRange(min=1),
        default=DEFAULT_CONNECTIONS,
        show_default=True,
        metavar="N",
        help="How many connections are open at once; flows that wait beyond that take turns,"
        " each every eight minutes at least.",
    )(command)


def deadline_option(command: Command) -> Command:
    """Add ``--deadline``; the command gets ``deadline: float | None``, seconds from now."""
    return click.option(
        "--deadline",
        type=Duration(),
        metavar="DURATION",
        help="Take back a code that nobody has used for this long, and make its secret"
        " unreadable: 12h, 30d.",
    )(command)
