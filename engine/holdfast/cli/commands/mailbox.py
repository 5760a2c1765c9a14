"""`holdfast mailbox`: run a mailbox server whose codes live as long as its operator wants."""

from pathlib import Path

import click

from holdfast.cli.channel import log_format_option
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.servers import serve
from holdfast.cli.telemetry import http_option, mailbox_telemetry


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
    help="SQLite file of the mailboxes; created if it does not exist.",
)
@click.option(
    "--keep",
    type=Duration(),
    metavar="DURATION",
    default="30d",
    show_default=True,
    help="Forget a mailbox that nobody has used for this long: 90s, 8h, 1h30m, 30d.",
)
@click.option(
    "--motd", metavar="TEXT", help="A message that every client is shown when it connects."
)
@click.option(
    "--watched-mailboxes",
    type=click.IntRange(0, 10_000_000),
    metavar="COUNT",
    default=250_000,
    show_default=True,
    help="How many mailboxes one client may watch on its connection; 0: no client may watch.",
)
@http_option
@log_format_option
def command(
    listen: str,
    database: Path,
    keep: float,
    motd: str | None,
    watched_mailboxes: int,
    http: str | None,
) -> None:
    """Run a mailbox server until it is told to stop.

    Give the URL that it prints to `holdfast --relay` and to `wormhole --relay-url`.
    """
    from twisted.internet import reactor

    from holdfast.cli.logs import log_what_goes_wrong
    from holdfast.operating.limits import connections_at_most, raise_open_files_limit
    from holdfast.server import MailboxServerError, service

    telemetry = mailbox_telemetry(http)
    raise_open_files_limit()
    log_what_goes_wrong()
    try:
        server = service(
            reactor,
            listen=listen,
            database=database,
            keep=keep,
            motd=motd,
            most=connections_at_most(),
            watched=watched_mailboxes,
        )
    except MailboxServerError as error:
        raise Failure(str(error)) from error
    if telemetry is not None:
        telemetry.attach(server)
    serve(reactor, server, "mailbox server")
