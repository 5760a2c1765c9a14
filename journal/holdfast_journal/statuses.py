"""The words for a flow's status: in the database, in code, and on operators' screens."""

from enum import StrEnum

CANCEL = "cancel"
"""What is asked of a flow that is to end; see `ask`."""

CANCELLING = "cancelling"
"""What a flow counts as that was asked to end, and has not ended. Not a word of the database."""

UNLOADED = "cannot be loaded: "
"""How the trouble of a flow begins that cannot be run through no fault of its own."""

INTERRUPTED = "the process ended during it"
"""The error of a task while a try of it runs: true if the process ends before it can write anything
else."""


class FlowStatus(StrEnum):
    """The status of a flow, as it is written in the database.

    `shown` is the word for people, which may be a better one: the words in databases never change.
    """

    NEW = "new"
    """Nothing has happened yet."""
    STARTING = "starting"
    """It does not have a working code yet."""
    WAITING = "waiting"
    """The code works, and has not been used."""
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
    """It ended because it was not collected before its deadline."""
    DAMAGED = "damaged"
    """It ended because its rows cannot be read."""

    @property
    def shown(self) -> str:
        """The word that operators see."""
        return "wrong code" if self is FlowStatus.SCARED else self.value

    @property
    def is_over(self) -> bool:
        """Whether a flow with this status has ended."""
        return self not in _OPEN

    @property
    def went_badly(self) -> bool:
        """Whether the flow ended without doing its work, although it was not asked to end."""
        return self in _BAD


_OPEN = frozenset(
    {
        FlowStatus.NEW,
        FlowStatus.STARTING,
        FlowStatus.WAITING,
        FlowStatus.EXCHANGING,
        FlowStatus.CLOSING,
    }
)

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
