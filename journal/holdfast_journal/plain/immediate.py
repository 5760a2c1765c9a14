"""`ImmediateJournal`: for an application that need not survive its process."""

from holdfast_journal.plain.checkpointed import Journal


def _nothing_to_save() -> None:
    pass


class ImmediateJournal(Journal):
    """A journal without durability.

    Outbound calls run, in order, when the outermost `process()` block ends, or at once outside of
    any block. An exception inside the block drops them, as in every journal.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_nothing_to_save)
