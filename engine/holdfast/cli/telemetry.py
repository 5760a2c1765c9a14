"""`--http`: where a service tells machines how it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from holdfast.cli import say
from holdfast.cli.failure import Failure

if TYPE_CHECKING:
    from holdfast.telemetry.mailbox import MailboxTelemetry
    from holdfast.telemetry.worker import WorkerTelemetry

Command = TypeVar("Command", bound=Callable[..., Any])


def http_option(command: Command) -> Command:
    """Add `--http`; the command gets `http: str | None`, an address not looked at yet."""
    return click.option(
        "--http",
        metavar="ADDRESS",
        help="Answer /metrics (for Prometheus), /livez and /readyz over HTTP at this address: a"
        " port of this machine alone (9464), host:port, [v6 address]:port, or unix:PATH.",
    )(command)


def worker_telemetry(address: str | None) -> WorkerTelemetry | None:
    """Bind the address of a process that runs flows, if one was given. Raises Failure, Refused."""
    if address is None:
        return None
    from twisted.internet import reactor

    _require_metrics()
    from holdfast.telemetry.worker import WorkerTelemetry

    return WorkerTelemetry(reactor, address)


def mailbox_telemetry(address: str | None) -> MailboxTelemetry | None:
    """Likewise for a mailbox server; it says where that is once the server runs."""
    if address is None:
        return None
    from twisted.internet import reactor

    _require_metrics()
    from holdfast.telemetry.mailbox import MailboxTelemetry

    return MailboxTelemetry(reactor, address, tell_where)


def tell_where(where: str) -> None:
    """Say where metrics and health are."""
    message = f"metrics and health: {where}"
    say.log("metrics", message, shown=f"holdfast: {message}", keys={"address": where})


def _require_metrics() -> None:
    try:
        import prometheus_client  # noqa: F401 - to see whether it is there
    except ModuleNotFoundError:
        from holdfast_journal import install

        raise Failure(f"--http: a package is missing: {install('metrics')}") from None
