"""Where the server listens: what the operator writes, and what a client is told."""

import os
import re
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.interfaces import IAddress

from holdfast.server.errors import AddressUnusable

_HOST_AND_PORT = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>\d{1,5})"
)

# Twisted's own endpoint types that can look like host:port, as `tcp:4000` does.
_ENDPOINT_TYPES = frozenset({"tcp", "tcp4", "tcp6", "ssl", "tls", "unix", "systemd", "fd"})

_HIGHEST_PORT = 65535


def endpoint(reactor: Any, listen: str) -> Any:
    """Return the IStreamServerEndpoint that `listen` names; it does not listen yet.

    `listen` is `host:port`, `[v6 address]:port`, or a Twisted endpoint string such as `tcp:4000`,
    `systemd:domain=INET:index=0` or `unix:/run/mailbox.sock`. Raises AddressUnusable for anything
    else.
    """
    match = _HOST_AND_PORT.fullmatch(listen)
    if match is None or match["host"] in _ENDPOINT_TYPES:
        return _from_endpoint_string(reactor, listen)
    port = int(match["port"])
    if port > _HIGHEST_PORT:
        raise AddressUnusable(f"cannot listen on {listen[:200]}: ports end at {_HIGHEST_PORT}")
    if match["six"] is not None:
        return TCP6ServerEndpoint(reactor, port, interface=match["six"])
    return TCP4ServerEndpoint(reactor, port, interface=match["host"])


def _from_endpoint_string(reactor: Any, listen: str) -> Any:
    try:
        return serverFromString(reactor, listen)
    except Exception as error:  # Twisted's parsers, and plugins, may raise anything
        raise AddressUnusable(
            f"cannot listen on {listen[:200]!r}: neither host:port, [v6 address]:port"
            f" nor a Twisted endpoint string"
        ) from error


def url(listen: str, bound: IAddress) -> str:
    """Return what a client gives as its relay URL, from the address actually bound.

    An address without a host and port (a Unix socket) is named as it is: a reverse proxy
    in front of it has the URL.
    """
    where = _host_and_port(bound)
    if where is None:
        return _other(bound)
    scheme = "wss" if listen.startswith(("ssl:", "tls:")) else "ws"
    return f"{scheme}://{where}/v1"


def transit(listen: str, bound: IAddress) -> str:  # noqa: ARG001  # as `url()`
    """Return what a client gives as its transit relay, from the address actually bound."""
    where = _host_and_port(bound)
    return _other(bound) if where is None else f"tcp:{where}"


def http_url(listen: str, bound: IAddress) -> str:
    """Return what a client of an HTTP server is given, from the address actually bound."""
    where = _host_and_port(bound)
    if where is None:
        return _other(bound)
    scheme = "https" if listen.startswith(("ssl:", "tls:")) else "http"
    return f"{scheme}://{where}"


def _host_and_port(bound: IAddress) -> str | None:
    host = getattr(bound, "host", None)
    port = getattr(bound, "port", None)
    if host is None or port is None:
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _other(bound: IAddress) -> str:
    name = getattr(bound, "name", None)
    return os.fsdecode(name) if name else str(bound)
