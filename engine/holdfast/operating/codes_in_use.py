"""The codes of another batch in a codes file, which must not be overwritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused
from holdfast.operating.standing import live_code

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal


def check_codes_in_use(
    journal: SqlJournal, batch: str, names: Sequence[str], there: Mapping[str, str], file: str
) -> None:
    """Find out whether a row of the codes file still waits for its recipient in another batch.

    Args:
        journal: the database.
        batch: the batch that is about to get codes.
        names: the people of that batch who are about to get one.
        there: the codes in the file, by name.
        file: what the file is called.

    Raises:
        Refused: it does; a new code of the same name would replace it.
    """
    shared = [name for name in names if name in there]
    if not shared:
        return  # as at the first start
    ours = {old.name for old in journal.existing(batch, shared)}
    others = set(shared) - ours
    if not others:
        return  # as at every further start: reading all flows costs more than these two
    for row in journal.overview():
        if row.name in others and row.batch != batch and live_code(row) == there[row.name]:
            raise Refused(
                f"{file}: it holds the code of {quoted(row.name)} in the batch"
                f" {quoted(row.batch)}, who has not collected; give --codes another file"
            )
