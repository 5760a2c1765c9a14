"""The address of a mailbox server, checked before it is used."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from holdfast.rendezvous import DEFAULT_RELAY, RELAY_VARIABLES

LONGEST: Final = 2000
"""Characters of the longest address that is accepted."""


class BadRelayUrl(ValueError):
    """A mailbox server cannot have this address; the text is one line without any password."""


@lru_cache(maxsize=64)
def parse_relay_url(url: str) -> WebSocketURI:
    """The parts of a `ws:` or `wss:` address.

    All callers with the same address get the same object, which must not be changed. Raises
    BadRelayUrl.
    """
    if len(url) > LONGEST:
        raise BadRelayUrl(f"the mailbox server's URL is longer than {LONGEST} characters")
    # The standard library's parser silently drops line ends and tabs.
    if not url.isprintable() or any(character.isspace() for character in url):
        raise BadRelayUrl("the mailbox server's URL holds a space or a control character")
    try:
        parts = parse_uri(url)
        # That parser reads zero as "no port".
        port = urlsplit(url).port
    except InvalidURI as error:
        raise BadRelayUrl(f"bad URL of a mailbox server, {_shown(url)}: {error.msg}") from None
    except ValueError as error:
        # Not the error's own text, which may repeat a password.
        wrong = "port" if str(error).startswith("Port") else "name"
        raise BadRelayUrl(
            f"bad URL of a mailbox server, {_shown(url)}: its {wrong} is impossible"
        ) from None
    if parts.user_info is not None:
        # A password would be sent to the server, and written in every checkpoint and log.
        raise BadRelayUrl(f"the mailbox server's URL, {_shown(url)}, holds a name or a password")
    if port == 0:
        raise BadRelayUrl(f"bad URL of a mailbox server, {_shown(url)}: its port is impossible")
    if not parts.host.isascii() or not parts.resource_name.isascii():
        raise BadRelayUrl(f"bad URL of a mailbox server, {_shown(url)}: its name is impossible")
    return parts


def relay_in(environ: Mapping[str, str]) -> str:
    """Return the address that HOLDFAST_RELAY gives, or WORMHOLE_RELAY_URL, or else the usual one.

    Raises BadRelayUrl.
    """
    variable = next((name for name in RELAY_VARIABLES if environ.get(name)), None)
    if variable is None:
        return DEFAULT_RELAY
    try:
        parse_relay_url(environ[variable])
    except BadRelayUrl as error:
        raise BadRelayUrl(f"{variable}: {error}") from None
    return environ[variable]


def _shown(url: str) -> str:
    """`url` in quotes, without what may be a password."""
    before, at, rest = url.rpartition("@")
    if at:
        scheme, separator, _ = before.partition("://")
        known = separator and scheme in ("ws", "wss")
        url = (f"{scheme}{separator}" if known else "") + "...@" + rest
    return repr(url)
