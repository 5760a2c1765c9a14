"""`holdfast relay`: run a transit relay, with bounds that its operator chooses."""

import click

from holdfast.cli.channel import log_format_option
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.servers import serve
from holdfast.cli.sizes import Size


@click.command()
@click.option(
    "--listen",
    metavar="ADDRESS",
    default="127.0.0.1:4001",
    show_default=True,
    help="host:port, [v6 address]:port (all interfaces: [::]:4001), or a Twisted endpoint"
    " string. Port 0 lets the system choose.",
)
@click.option(
    "--connections",
    type=click.IntRange(min=2),
    metavar="N",
    show_default="as many as it may open files, less a hundred",
    help="Close further connections at once. Each transfer needs two.",
)
@click.option(
    "--pair-bytes",
    type=Size(),
    metavar="SIZE",
    default="0",
    show_default="0, for any number",
    help="Cut off a pair that sends more than this, in both directions together: 500MB, 20GB.",
)
@click.option(
    "--wait",
    type=Duration(),
    metavar="DURATION",
    default="1d",
    show_default=True,
    help="Drop a client whose partner has not come for this long.",
)
@click.option(
    "--idle",
    type=Duration(),
    metavar="DURATION",
    default="1h",
    show_default=True,
    help="Drop a pair if neither side has sent anything for this long.",
)
@log_format_option
def command(
    listen: str, connections: int | None, pair_bytes: int, wait: float, idle: float
) -> None:
    """Run a transit relay until it is told to stop.

    Files pass through it if the two sides cannot reach each other directly. Give the address
    that it prints to `wormhole --transit-helper`.
    """
    from twisted.internet import reactor

    from holdfast.cli.logs import log_what_goes_wrong
    from holdfast.operating.limits import connections_at_most, raise_open_files_limit
    from holdfast.server import MailboxServerError, relay_service

    raise_open_files_limit()
    log_what_goes_wrong()
    most = connections_at_most()
    if connections is not None:
        most = connections if most is None else min(connections, most)
    try:
        relay = relay_service(
            reactor, listen=listen, most=most, pair_bytes=pair_bytes, wait=wait, idle=idle
        )
    except MailboxServerError as error:
        raise Failure(str(error)) from error
    serve(reactor, relay, "transit relay")
