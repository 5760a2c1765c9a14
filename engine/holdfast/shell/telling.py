"""Notices as an application hears them: a method's name and its argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from holdfast import errors
from holdfast.core import notices as out

NoServer: TypeAlias = Callable[[str], errors.ServerConnectionError]
"""Makes the error of a wormhole whose server could not be reached, from the reason in words."""


Told: TypeAlias = (
    out.GotWelcome
    | out.GotCode
    | out.GotUnverifiedKey
    | out.GotVerifier
    | out.GotVersions
    | out.GotMessage
    | out.Closed
)
"""The notices that are for the application."""


def called(notice: Told, no_server: NoServer) -> tuple[str, object]:
    """Return the delegate's method for `notice`, and its argument."""
    match notice:
        case out.GotWelcome(welcome):
            return "wormhole_got_welcome", welcome
        case out.GotCode(code):
            return "wormhole_got_code", code
        case out.GotUnverifiedKey(key):
            return "wormhole_got_unverified_key", key
        case out.GotVerifier(verifier):
            return "wormhole_got_verifier", verifier
        case out.GotVersions(versions):
            return "wormhole_got_versions", versions
        case out.GotMessage(plaintext):
            return "wormhole_got_message", plaintext
        case out.Closed():
            return "wormhole_closed", result(notice, no_server)


def result(closed: out.Closed, no_server: NoServer) -> str | errors.WormholeError:
    """Return how a wormhole ended: "happy", or the exception that says why not."""
    if closed.error == "ServerConnectionError":
        return no_server(closed.detail)
    kind = _ENDINGS.get(closed.error)
    if kind is None:
        return closed.mood
    return kind(closed.detail)


_ENDINGS: Mapping[str, Callable[[str], errors.WormholeError]] = {
    "LonelyError": lambda _: errors.LonelyError(),
    "WrongPasswordError": lambda _: errors.WrongPasswordError(),
    # These carry the words of the server or the peer, which may be empty.
    "ServerError": errors.ServerError,
    "CrowdedError": errors.CrowdedError,
    "CodeLostError": lambda _: errors.CodeLostError(),
    "WelcomeError": errors.WelcomeError,
    "PeerError": errors.PeerError,
}
