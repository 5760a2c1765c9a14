"""Who may be told by a webhook, and how it knows who tells: URLs, secrets and signatures.

As in the "Standard Webhooks" specification (standardwebhooks.com, "Signature scheme"), so that its
libraries can check them, which exist in many languages. `webhook-id` is the idempotency key, and is
the same at every try; `webhook-timestamp` is the time of this try; `webhook-signature` has an
HMAC-SHA256 of id, timestamp and body for each secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from holdfast.errors import WormholeError

SECRET_VARIABLE: Final = "HOLDFAST_HOOK_SECRET"  # noqa: S105 - the name of it
FILE_VARIABLE: Final = "HOLDFAST_HOOK_SECRET_FILE"

SHORTEST_SECRET: Final = 16
"""Bytes."""

_PREFIX: Final = "whsec_"
"""The specification's mark of a secret in base64."""


class BadHookSecret(WormholeError):
    """There is no secret to sign with, or it cannot be used."""


class BadHookUrl(WormholeError):
    """It is not the URL of a webhook."""


def secrets_in(environ: Mapping[str, str]) -> Sequence[bytes]:
    """Return the secrets to sign with: one, or two while a receiver changes from one to the other.

    Raises:
        BadHookSecret: there is none, or it cannot be used.
    """
    text, source = environ.get(SECRET_VARIABLE, ""), SECRET_VARIABLE
    path = environ.get(FILE_VARIABLE, "")
    if not text.strip() and path:
        source = FILE_VARIABLE
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise BadHookSecret(f"{FILE_VARIABLE}: {path} cannot be read: {why}") from None
    if not text.strip():
        raise BadHookSecret(
            f"a webhook is signed, and there is no secret for that: set {SECRET_VARIABLE}, or"
            f" {FILE_VARIABLE} to the path of a file that holds it"
        )
    found = [_secret(word, source) for word in text.split()]
    if any(len(each) < SHORTEST_SECRET for each in found):
        raise BadHookSecret(f"{source}: a secret has at least {SHORTEST_SECRET} characters")
    return found


def _secret(word: str, source: str) -> bytes:
    if not word.startswith(_PREFIX):
        return word.encode()
    try:
        return base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise BadHookSecret(f"{source}: what follows {_PREFIX} is not base64") from None


def check_url(url: str) -> None:
    """See that it is `https:`, or `http:` to this very machine.

    Raises:
        BadHookUrl: it is neither.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        url.encode("ascii")
    except ValueError:
        raise BadHookUrl("it is not a URL") from None
    if parts.scheme not in ("https", "http") or not host:
        raise BadHookUrl("it is not an https: URL")
    if not all("!" <= each <= "~" for each in url):
        raise BadHookUrl("there is a blank in it")
    if parts.username is not None or parts.password is not None:
        raise BadHookUrl("it must not hold a user name or a password; the signature says who asks")
    if parts.scheme == "http" and not _is_loopback(host):
        raise BadHookUrl("http: is for receivers on this machine (127.0.0.1); use https:")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def signed(secrets: Sequence[bytes], key: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers that say who has sent `body`, for the first or a later time.

    Args:
        secrets: any of which the receiver may know.
        key: the idempotency key.
        at: seconds since the epoch, now.
        body: what is sent.
    """
    content = f"{key}.{at}.".encode() + body
    boxes = [base64.b64encode(hmac.digest(each, content, hashlib.sha256)) for each in secrets]
    return {
        "webhook-id": key,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{box.decode()}" for box in boxes),
    }
