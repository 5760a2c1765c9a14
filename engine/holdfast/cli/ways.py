"""The options that say how two machines reach each other for a file, as flows keep them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from holdfast.cli.failure import Failure
from holdfast.cli.settings import transit_option
from holdfast.operating.addresses import TransitRelay

if TYPE_CHECKING:
    from holdfast.flows.shipped.transferring import Ways


@frozen
class AskedWays:
    """What was asked for.

    Args:
        relay: the transit relay, if there is to be one.
        listen: whether the other side may connect to this machine.
        port: the TCP port for that; 0 for any that is free.
    """

    relay: TransitRelay | None
    listen: bool
    port: int

    @property
    def asked(self) -> str:
        """The option that was given, which a text has no use for; or "" if there is none."""
        return "" if self.listen and not self.port else "--port" if self.port else "--no-listen"

    def flow_value(self) -> Ways:
        """Return it as a flow keeps it."""
        from holdfast.flows.shipped.transferring import Ways

        relays = [] if self.relay is None else [f"{_host(self.relay.host)}:{self.relay.port}"]
        return Ways(relays, self.listen, self.port)


def _no_listen(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--no-listen",
        is_flag=True,
        help="Do not let the other side connect to this machine: connect to it, or use the relay.",
    )(command)


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def shared_ways_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--transit` and `--no-listen`, as `ways_options` does.

    Of many transfers at once, each has a port of its own.
    """

    @functools.wraps(command)
    def gathered(*args: Any, transit: TransitRelay | None, no_listen: bool, **more: Any) -> Any:
        return command(*args, ways=AskedWays(transit, not no_listen, 0), **more)

    return transit_option(_no_listen(gathered))


def ways_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--transit`, `--no-listen` and `--port`; the command gets `ways: AskedWays`."""

    @functools.wraps(command)
    def gathered(
        *args: Any, transit: TransitRelay | None, no_listen: bool, port: int | None, **more: Any
    ) -> Any:
        if no_listen and port is not None:
            raise Failure("--port: nothing listens there, because of --no-listen")
        return command(*args, ways=AskedWays(transit, not no_listen, port or 0), **more)

    options = click.option(
        "--port",
        type=click.IntRange(1, 65_535),
        metavar="PORT",
        help="Let the other side connect to this TCP port, which your firewall lets through.",
    )(_no_listen(gathered))
    return transit_option(options)
