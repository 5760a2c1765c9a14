"""`holdfast console`: pages for operators and an HTTP API, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.channel import log_format_option
from holdfast.cli.failure import Failure
from holdfast.cli.hooking import hook_options
from holdfast.cli.settings import appid_option, db_option, relay_option

if TYPE_CHECKING:
    from holdfast.operating.hooks import AskedHooks


@click.command()
@click.option(
    "--listen",
    metavar="ADDRESS",
    default="127.0.0.1:8600",
    show_default=True,
    help="host:port, [v6 address]:port, unix:PATH, or a Twisted endpoint string. Without --tls or"
    " --behind-proxy, only this machine may reach it.",
)
@click.option(
    "--tls",
    nargs=2,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="CERTIFICATE KEY",
    help="PEM files: a certificate with its chain, and its key.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which browsers reach it, such as codes.example.com. May be repeated.",
)
@click.option(
    "--behind-proxy",
    "header",
    metavar="HEADER",
    help="A reverse proxy stands before it, which alone can reach it, and names the user in this"
    " header, which it removes from what clients send.",
)
@click.option(
    "--proxy-role",
    type=click.Choice(["viewer", "operator", "codes"]),
    default="viewer",
    show_default=True,
    help="What the proxy's users may do.",
)
@hook_options
@log_format_option
@db_option
@relay_option
@appid_option
def command(
    listen: str,
    tls: tuple[Path, Path] | None,
    hosts: tuple[str, ...],
    header: str | None,
    proxy_role: str,
    db: str,
    relay: str,
    appid: str,
    hooks: AskedHooks,
) -> None:
    """Show flows in the browser, and serve an HTTP API.

    Prints an address that lets you in once, within an hour. For others, and for programs, make
    tokens with 'holdfast token add'. It runs no flows: 'holdfast run' does.
    """
    from twisted.internet import reactor

    from holdfast.cli.logs import log_what_goes_wrong
    from holdfast.cli.servers import serve
    from holdfast.operating.clock import keep_time_steadily
    from holdfast.operating.database import open_journal

    try:
        from holdfast.console.gate import Proxy
        from holdfast.console.listening import Where
        from holdfast.console.service import service
        from holdfast.console.viewers import Role
    except ModuleNotFoundError as error:
        if error.name not in ("klein", "jinja2", "werkzeug"):
            raise
        raise Failure(
            "the console needs packages that are not installed:"
            " pip install 'holdfast-wormhole[console]'"
        ) from None
    where = Where(listen, tls, hosts, behind_proxy=header is not None)
    proxy = None if header is None else Proxy(header, Role.of(proxy_role))
    keep_time_steadily(reactor)
    log_what_goes_wrong()
    journal = open_journal(db, say.tell)
    try:
        made = service(reactor, journal, where, relay=relay, appid=appid, proxy=proxy, hooks=hooks)
    except BaseException:
        journal.close()
        raise
    serve(reactor, made, "console")
