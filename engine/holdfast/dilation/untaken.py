"""Records that have come and still wait for an entry in which they are taken."""

from __future__ import annotations

from collections import deque

from holdfast.dilation.ledger import OVERHEAD
from holdfast.dilation.records import Close, Data, Open


class Untaken:
    """These records in order, and how much they are.

    Args:
        enough: bytes that are worth an entry.
    """

    __slots__ = ("_records", "enough", "size")

    def __init__(self, enough: int) -> None:
        self.enough = enough
        self._records: deque[Open | Data | Close] = deque()
        self.size = 0
        """Bytes, with what each record costs beside its data."""

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._records)

    @property
    def first(self) -> Open | Data | Close:
        """The one that came first. Raises IndexError if there are none."""
        return self._records[0]

    @property
    def are_enough(self) -> bool:
        """Whether they are worth an entry."""
        return self.size >= self.enough

    @property
    def are_too_many(self) -> bool:
        """Whether no more should be read, since there is enough for two entries."""
        return self.size > 2 * self.enough

    @property
    def leave_room(self) -> bool:
        """Whether more should be read again."""
        return self.size <= self.enough

    def add(self, record: Open | Data | Close) -> None:
        """This one has come, the last so far."""
        self._records.append(record)
        self.size += _size(record)

    def pop(self) -> Open | Data | Close:
        """Remove the first, and return it. Raises IndexError if there are none."""
        record = self._records.popleft()
        self.size -= _size(record)
        return record

    def clear(self) -> None:
        """Drop them all."""
        self._records.clear()
        self.size = 0


def _size(record: Open | Data | Close) -> int:
    return OVERHEAD + (len(record.data) if isinstance(record, Data) else 0)
