"""Who is logged in: one-time keys, and the cookies that they are exchanged for.

Both live in memory: whoever starts the console again gets a new one-time address. Only hashes are
kept, so a look at this process's memory through a bug yields no cookie.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from attrs import define, field, frozen

from holdfast.console.viewers import Role

KEY_LIVES: Final = 3600.0
"""Seconds for which a one-time address works."""

IDLE: Final = 8 * 3600.0
"""Seconds after which a session ends that is not used."""

LONGEST: Final = 24 * 3600.0
"""Seconds after which every session ends."""

MOST: Final = 1000
"""How many sessions there are; then the one that was used longest ago ends."""


@frozen
class Session:
    """Somebody who is logged in."""

    name: str
    role: Role
    token: str | None
    """The name of the token by which they came; None for the one-time address."""
    began: float
    used: float


@define(eq=False)
class Sessions:
    """All who are logged in. Used in the reactor's thread.

    Args:
        now: seconds that never jump.
    """

    _now: Callable[[], float]
    _secret: bytes = field(factory=lambda: secrets.token_bytes(32), repr=False)
    _keys: dict[str, tuple[float, str, Role]] = field(factory=dict, repr=False)
    _sessions: dict[str, Session] = field(factory=dict, repr=False)

    def one_time_key(self, name: str, role: Role) -> str:
        """Return a key that lets somebody in once, within an hour."""
        key = secrets.token_urlsafe(32)
        self._keys[_hash(key)] = (self._now() + KEY_LIVES, name, role)
        return key

    def redeem(self, key: str) -> str | None:
        """Return a cookie for a one-time key, which then works no more."""
        until, name, role = self._keys.pop(_hash(key), (0.0, "", Role.VIEWER))
        return self.begin(name, role) if name and self._now() < until else None

    def begin(self, name: str, role: Role, token: str | None = None) -> str:
        """Log somebody in; return their cookie."""
        while len(self._sessions) >= MOST:
            oldest = min(self._sessions, key=lambda each: self._sessions[each].used)
            del self._sessions[oldest]
        cookie, now = secrets.token_urlsafe(32), self._now()
        self._sessions[_hash(cookie)] = Session(name, role, token, now, now)
        return cookie

    def find(self, cookie: str, *, uses: bool = True) -> Session | None:
        """Return the session of a cookie, if it has not ended; note whether it is used now."""
        found = self._sessions.get(name := _hash(cookie))
        now = self._now()
        if found is None:
            return None
        if now - found.used > IDLE or now - found.began > LONGEST:
            del self._sessions[name]
            return None
        if not uses:
            return found
        found = Session(found.name, found.role, found.token, found.began, now)
        self._sessions[name] = found
        return found

    def end(self, cookie: str) -> None:
        """Log somebody out."""
        self._sessions.pop(_hash(cookie), None)

    def csrf(self, of: str) -> str:
        """Return what the forms of a cookie, or of a proxy's user, must carry."""
        return hmac.digest(self._secret, of.encode("utf-8", "replace"), "sha256").hex()


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
