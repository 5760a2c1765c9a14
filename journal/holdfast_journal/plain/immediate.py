"""`ImmediateJournal`: for an application that does not want to survive its process."""

from holdfast_journal.plain.checkpointed import Journal


def _nothing_to_save() -> None:
    pass


class ImmediateJournal(Journal):
    """A journal without durability.

    Outbound calls run, in order, when the outermost `process()` block ends, and at once if none is
    open. An exception inside the block drops them, as in every journal.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_nothing_to_save)
