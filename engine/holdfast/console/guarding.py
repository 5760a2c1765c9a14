"""What is true of every answer, and what is asked of every request before anything is done.

Pure: texts in, texts out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # "no-referrer" would make browsers say "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The headers of every answer, also of those that say no."""

COOKIE: Final = "holdfast_session"


def cookie_header(value: str, *, secure: bool) -> str:
    """Return the header that sets the session's cookie, or with an empty value removes it."""
    ends = "; Max-Age=0" if not value else ""
    return (
        f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}{ends}"
    )


def is_our_host(host: str, ours: Collection[str]) -> bool:
    """Whether a request means us; a page of another site cannot make it (DNS rebinding).

    `ours` are host names in lower case, with a port or, for any port, without.
    """
    host = host.lower()
    return host in ours or _without_port(host) in ours


def is_our_origin(origin: str | None, host: str) -> bool:
    """Whether a request that changes something was made by a page of ours."""
    if origin is None:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
