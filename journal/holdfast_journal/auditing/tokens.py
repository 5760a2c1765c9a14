"""Tokens: how people and programs show who they are to the console and the HTTP API.

A token is shown once, when it is made. What is stored is its SHA-256: it has 256 random bits, so
there is nothing to guess, and a slow hash would only slow down its owner.
"""

import secrets
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

from attrs import field, frozen
from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from holdfast_journal.auditing.acts import Actor
from holdfast_journal.auditing.recording import record
from holdfast_journal.errors import TokenExists
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import tokens
from holdfast_journal.store.values import mended, unsound

PREFIX: Final = "hf_"
"""How every token begins, so that programs that look for leaked secrets know one."""

_DAY = 86400


@frozen
class Token:
    """A token as its operators see it. Times in seconds since the epoch."""

    name: str
    role: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_day: int | None
    """Days since the epoch."""

    def is_good(self, now: float) -> bool:
        """Whether it can be used."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_COLUMNS = [
    tokens.c[name]
    for name in ("name", "role", "created_at", "expires_at", "revoked_at", "last_used_day")
]


@frozen
class Tokens:
    """The tokens of a database. Every method raises DatabaseUnusable."""

    _database: Database
    _clock: Callable[[], float] = field(repr=False)

    def make(self, name: str, role: str, expires_at: float | None, by: Actor) -> str:
        """Make a token, and return it; it cannot be read again.

        A name stands for one token for ever, since the audit names it. Raises TokenExists.
        """
        made = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        try:
            with self._database.writing() as connection:
                connection.execute(
                    insert(tokens).values(
                        name=name,
                        role=role,
                        hash=_hash(made),
                        created_at=now,
                        expires_at=expires_at,
                    )
                )
                record(connection, by.does("token made", f"{name}, {role}"), now)
        except IntegrityError:
            raise TokenExists(f"there is, or was, a token named {name!r}") from None
        return made

    def find(self, shown: str) -> Token | None:
        """Return the token that somebody shows, if it can be used; note the day."""
        now = self._clock()
        query = select(*_COLUMNS).where(tokens.c.hash == _hash(shown))
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        found = None if row is None else _token(row)
        if found is None or not found.is_good(now):
            return None
        today = int(now // _DAY)
        if found.last_used_day != today:
            used = update(tokens).where(tokens.c.name == found.name)
            with self._database.writing() as connection:
                connection.execute(used.values(last_used_day=today))
        return found

    def is_good(self, name: str) -> bool:
        """Whether the token of that name can be used."""
        now = self._clock()
        query = select(tokens.c.id).where(tokens.c.name == name, _usable(now))
        with self._database.reading() as connection:
            return connection.scalar(query) is not None

    def all(self) -> Sequence[Token]:
        """Every token that there ever was, in the order in which they were made."""
        with self._database.reading() as connection:
            return [
                Token(*row) for row in connection.execute(select(*_COLUMNS).order_by(tokens.c.id))
            ]

    def revoke(self, name: str, by: Actor) -> bool:
        """Make a token useless at once. Return False if none of that name could be used."""
        now = self._clock()
        statement = update(tokens).where(tokens.c.name == name, _usable(now))
        with self._database.writing() as connection:
            done = connection.execute(statement.values(revoked_at=now)).rowcount == 1
            if done:
                record(connection, by.does("token revoked", name), now)
        return done


def _token(row: Any) -> Token:
    row = mended(row, tokens, unsound(row, tokens))
    return Token(*(getattr(row, each.name) for each in _COLUMNS))


def _usable(now: float) -> ColumnElement[bool]:
    runs = or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now)
    return tokens.c.revoked_at.is_(None) & runs


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
