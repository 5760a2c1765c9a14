"""`holdfast mailbox`: run a mailbox server whose codes live as long as its operator wants."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from holdfast.cli.durations import parse_duration
from holdfast.cli.failure import Failure

if TYPE_CHECKING:
    from holdfast.mailbox import MailboxService


def _duration(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _default_database() -> Path:
    from platformdirs import user_state_path

    return user_state_path("holdfast") / "mailbox.sqlite"


@click.command()
@click.option(
    "--listen",
    metavar="ADDRESS",
    default="127.0.0.1:4000",
    show_default=True,
    help="host:port, [v6 address]:port (all interfaces: [::]:4000), or a Twisted endpoint"
    " string. Port 0 lets the system choose.",
)
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    default=_default_database,
    show_default="mailbox.sqlite in the state directory",
    help="SQLite file of the mailboxes; made if it is new.",
)
@click.option(
    "--keep",
    metavar="DURATION",
    default="30d",
    show_default=True,
    callback=_duration,
    help="How long to remember a mailbox that nobody touches: 90s, 8h, 1h30m, 30d.",
)
@click.option("--motd", metavar="TEXT", help="Shown to everybody who connects.")
def command(listen: str, database: Path, keep: float, motd: str | None) -> None:
    """Run a mailbox server until it is told to stop.

    Give the URL that it prints to `holdfast --relay` and to `wormhole --relay-url`.
    """
    from twisted.internet import reactor

    from holdfast.cli.limits import raise_open_files_limit
    from holdfast.mailbox import MailboxServerError, service

    raise_open_files_limit()
    _log_what_goes_wrong()
    try:
        server = service(reactor, listen=listen, database=database, keep=keep, motd=motd)
    except MailboxServerError as error:
        raise Failure(str(error)) from error
    failure = _run(reactor, server)
    if failure is not None:
        raise Failure(failure)


def _run(reactor: Any, server: "MailboxService") -> str | None:
    """Run `server` until SIGINT or SIGTERM; return why it could not listen, or None."""
    from twisted.python.failure import Failure as Failed

    failed: list[str] = []

    def listens(url: str) -> None:
        click.echo(f"mailbox server: {url}")

    def does_not(failure: Failed) -> None:
        failed.append(failure.getErrorMessage())
        reactor.stop()

    def start() -> None:
        reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
        server.startService()
        server.when_listening().addCallbacks(listens, does_not)

    reactor.callWhenRunning(start)
    reactor.run()
    return failed[0] if failed else None


def _log_what_goes_wrong() -> None:
    """Write Twisted's warnings and errors to standard error, one line each, and nothing else.

    The package tells Twisted's log about every mailbox it sweeps; and a traceback may quote
    what a client sent, which can be a whole code. So of an error only its type and place
    are shown.
    """
    from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner

    def observe(event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None:
            place = failure.frames[-1][0] if failure.frames else "an unknown place"
            click.echo(f"error: {failure.type.__name__} in {place}", err=True)
        elif event["log_namespace"].startswith("holdfast.") and event["log_level"] >= LogLevel.warn:
            click.echo(f"{event['log_level'].name}: {formatEvent(event)}", err=True)

    globalLogBeginner.beginLoggingTo([cast(ILogObserver, observe)], redirectStandardIO=False)
