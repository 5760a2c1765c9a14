"""What every command needs to know: which database, which servers, which application.

Each comes from an option, an environment variable, or a default, in this order.
Values are checked while the command line is parsed, so that a wrong one starts nothing.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.operating.addresses import (
    DEFAULT_TRANSIT,
    TransitRelay,
    checked_relay,
    checked_transit,
    default_database,
    is_line,
    sqlite_url,
)
from holdfast.rendezvous import DEFAULT_RELAY, MOST_CONNECTIONS, RELAY_VARIABLES
from holdfast.transfer import APPID

OUR_TRANSIT: Final = "HOLDFAST_TRANSIT"
TRANSIT_VARIABLES: Final = (OUR_TRANSIT, "WORMHOLE_TRANSIT_HELPER")
"""Which environment variables name a transit relay: ours, then the stock client's."""

Command = TypeVar("Command", bound=Callable[..., Any])


def where_from(ctx: click.Context, param: click.Parameter) -> str:
    """Name the place that a value came from: `--relay`, or `HOLDFAST_RELAY`."""
    source = ctx.get_parameter_source(param.name or "")
    if source is not click.core.ParameterSource.ENVIRONMENT:
        return param.opts[0]
    return next(name for name in variables_of(param) if os.environ.get(name))


def variables_of(param: click.Parameter) -> Sequence[str]:
    """Return the environment variables that give an option its value; the first that is set."""
    given = param.envvar or ()
    return (given,) if isinstance(given, str) else tuple(given)


def _database(ctx: click.Context, param: click.Parameter, value: str) -> str:
    where = where_from(ctx, param)
    if not is_line(value):
        raise Failure(f"{where}: neither a database URL nor the path of a file")
    if "://" in value:
        return value  # whether it names a database is found when it is opened
    return sqlite_url(Path(value), where)


def _relay(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return checked_relay(value, where_from(ctx, param))


def _transit(ctx: click.Context, param: click.Parameter, value: str) -> TransitRelay | None:
    source = ctx.get_parameter_source(param.name or "")
    # To click, a variable that is empty is not set; here it says that there is to be no relay.
    if source is not click.core.ParameterSource.COMMANDLINE and not os.environ.get(
        OUR_TRANSIT, "-"
    ):
        return None
    return checked_transit(value, where_from(ctx, param))


def _appid(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_line(value):
        where = where_from(ctx, param)
        raise Failure(f"{where}: an application id is one line, such as {APPID}")
    return value


def db_option(command: Command) -> Command:
    """Add `--db`; the command gets `db: str`, a SQLAlchemy URL."""
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
    """Add `--relay`; the command gets `relay: str`, a checked WebSocket URL."""
    return click.option(
        "--relay",
        metavar="URL",
        callback=_relay,
        envvar=list(RELAY_VARIABLES),
        default=DEFAULT_RELAY,
        show_default=True,
        show_envvar=True,
        help="The mailbox server where both sides meet.",
    )(command)


def transit_option(command: Command) -> Command:
    """Add `--transit`; the command gets `transit: TransitRelay | None`."""
    return click.option(
        "--transit",
        metavar="tcp:HOST:PORT",
        callback=_transit,
        envvar=list(TRANSIT_VARIABLES),
        default=DEFAULT_TRANSIT,
        show_default=True,
        show_envvar=True,
        help="The transit relay that files pass through if the two sides cannot reach each other"
        " directly; `none` for no relay.",
    )(command)


def appid_option(command: Command) -> Command:
    """Add `--appid`; the command gets `appid: str`."""
    return click.option(
        "--appid",
        metavar="ID",
        callback=_appid,
        envvar="HOLDFAST_APPID",
        default=APPID,
        show_default=True,
        show_envvar=True,
        help="The application id; the default is the stock clients'.",
    )(command)


def class_appid_option(command: Command) -> Command:
    """Add `--appid`; the command gets `appid: str | None`, None for that of the flow's class."""
    return click.option(
        "--appid",
        metavar="ID",
        callback=_appid,
        show_default="that of the flow's class",
        help="The application id.",
    )(command)


def retain_option(command: Command) -> Command:
    """Add `--retain`; the command gets `retain: float | None`, seconds."""
    return click.option(
        "--retain",
        type=Duration(),
        metavar="DURATION",
        help="Keep the key of a flow that went well, was cancelled or expired for this long: 8h,"
        " 30d. Until then its history can be read, including its secret. Without this option,"
        " the key is deleted when the flow ends.",
    )(command)


def connections_option(command: Command) -> Command:
    """Add `--connections`; the command gets `connections: int`."""
    return click.option(
        "--connections",
        type=click.IntRange(min=1),
        default=MOST_CONNECTIONS,
        show_default=True,
        metavar="N",
        help="Keep at most N connections open. Further waiting flows share them; each is visited"
        " at least every eight minutes.",
    )(command)


def deadline_option(command: Command) -> Command:
    """Add `--deadline`; the command gets `deadline: float | None`, seconds from now."""
    return click.option(
        "--deadline",
        type=Duration(),
        metavar="DURATION",
        help="If nobody has used a code after this long, take it back and make its secret"
        " unreadable: 12h, 30d.",
    )(command)
