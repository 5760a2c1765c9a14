"""The words for how a flow stands: in the database, in code, and on operators' screens."""

from enum import StrEnum


class FlowStatus(StrEnum):
    """How a flow stands, as it is written in the database.

    `shown` is the word for people, which may be a better one: what is in a database stays.
    """

    NEW = "new"
    """Nothing has happened yet."""
    STARTING = "starting"
    """It has no code that works yet."""
    WAITING = "waiting"
    """The code works, and nobody has used it."""
    EXCHANGING = "exchanging"
    """The peer is there and has proved the code."""
    CLOSING = "closing"
    """The exchange is over, and the mailbox server is being told."""

    DONE = "done"
    """It ended well. The only status that cannot be retried."""
    SCARED = "scared"
    """It ended because the peer used a different code."""
    CROWDED = "crowded"
    """It ended because a third party entered the mailbox."""
    CODE_LOST = "code lost"
    """It ended because the mailbox server has forgotten its code."""
    FAILED = "failed"
    """It ended for the reason that it has published."""
    CANCELLED = "cancelled"
    """It ended because an operator asked for that."""
    EXPIRED = "expired"
    """It ended because nobody had collected before its deadline."""
    DAMAGED = "damaged"
    """It ended because its rows cannot be read."""

    @property
    def shown(self) -> str:
        """The word that operators see."""
        return "wrong code" if self is FlowStatus.SCARED else self.value

    @property
    def went_badly(self) -> bool:
        """Whether the flow ended without having done its work, and nobody asked for that."""
        return self in _BAD


_BAD = frozenset(
    {
        FlowStatus.SCARED,
        FlowStatus.CROWDED,
        FlowStatus.CODE_LOST,
        FlowStatus.FAILED,
        FlowStatus.EXPIRED,
        FlowStatus.DAMAGED,
    }
)
