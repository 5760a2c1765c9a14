"""Who looks at the console, and what they may do."""

from __future__ import annotations

from enum import IntEnum

from attrs import field, frozen

from holdfast.operating.audit import checked_why
from holdfast_journal import Actor


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    VIEWER = 1
    """See how flows stand, without codes."""
    OPERATOR = 2
    """Start, cancel, retry and extend flows, and ask workers to leave."""
    CODES = 3
    """See codes."""

    @property
    def word(self) -> str:
        """What it is called everywhere."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Role:
        """Return the role of that name; the least for one that this release does not know."""
        return next((each for each in cls if each.word == word), cls.VIEWER)


@frozen
class Viewer:
    """Somebody whose request has been let in.

    Args:
        name: a person or a program.
        role: what they may do.
        origin: the address that the request came from.
        face: `page` or `api`.
        csrf: what their forms must carry; empty for the API, which knows no cookies.
    """

    name: str
    role: Role
    origin: str
    face: str
    csrf: str = field(default="", repr=False)

    def may(self, role: Role) -> bool:
        """Whether they may do what needs this role."""
        return self.role >= role

    def actor(self, why: str = "") -> Actor:
        """Return them as somebody who acts, to be handed to `operating` and the journal."""
        return Actor(self.name, self.origin, self.face, checked_why(why))
