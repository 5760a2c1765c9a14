"""The options that have a command connect through Tor, and by no other way."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen

from holdfast.cli.failure import Failure

if TYPE_CHECKING:
    from holdfast.rendezvous.tor import TorManager

Command = TypeVar("Command", bound=Callable[..., Any])


@frozen
class AskedTor:
    """What was asked for.

    Args:
        wanted: whether everything is to go through Tor.
        control_port: where Tor listens for commands, as a Twisted endpoint string; None for the
            usual places.
    """

    wanted: bool
    control_port: str | None

    @property
    def marks(self) -> tuple[str, ...]:
        """What makes a command with it different from one without."""
        return ("tor",) if self.wanted else ()

    def found(self) -> TorManager | None:
        """Return the Tor that runs here, or None if none is wanted.

        Raises:
            Refused: it cannot be used; nothing was connected.
        """
        if not self.wanted:
            return None
        from twisted.internet import reactor

        from holdfast.operating.beforehand import find_tor

        return find_tor(reactor, self.control_port)


def tor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--tor` and `--tor-control-port`; the command gets `tor: AskedTor`."""

    @functools.wraps(command)
    def gathered(*args: Any, tor: bool, control_port: str | None, **more: Any) -> Any:
        return command(*args, tor=AskedTor(tor, control_port), **more)

    options = click.option(
        "--tor-control-port",
        "control_port",
        metavar="ENDPOINT",
        callback=_endpoint,
        envvar="HOLDFAST_TOR_CONTROL_PORT",
        show_envvar=True,
        show_default="the usual places",
        help="Where Tor takes commands, such as tcp:127.0.0.1:9051 or unix:/run/tor/control.",
    )(gathered)
    return tor_option(
        "Make every connection through the Tor that runs here, or none. Nobody can connect to this"
        " machine then. Only workers with this option continue what a command with it has started."
    )(options)


def tor_option(words: str) -> Callable[[Command], Command]:
    """Add `--tor`; the command gets `tor: bool`."""
    return click.option("--tor", is_flag=True, envvar="HOLDFAST_TOR", show_envvar=True, help=words)


left_to_tor_option = tor_option(
    "Leave what is started here to workers that connect through Tor ('holdfast run --tor')."
)
"""For commands that connect to nobody themselves."""


def _endpoint(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.startswith(("tcp:", "unix:")):
        raise Failure(
            "--tor-control-port: this is an endpoint, such as tcp:127.0.0.1:9051 or"
            " unix:/run/tor/control"
        )
    return value
