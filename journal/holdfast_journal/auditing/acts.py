"""Who acts, and what they do, as values."""

from attrs import frozen


@frozen
class Act:
    """One thing that an operator does, as it is written down. Nothing in it is secret."""

    actor: "Actor"
    action: str
    """One or two words that never change: `cancel`, `code shown`."""
    detail: str = ""
    """What exactly, in words."""


@frozen
class Actor:
    """Somebody who acts on flows.

    Args:
        who: a person or a program: the system's user, a token's name.
        origin: from where: a host, or an address.
        face: how: `command`, `page` or `api`.
        why: in their own words; empty if they did not say.
    """

    who: str
    origin: str
    face: str
    why: str = ""

    def does(self, action: str, detail: str = "") -> Act:
        """Say what they do."""
        return Act(self, action, detail)
