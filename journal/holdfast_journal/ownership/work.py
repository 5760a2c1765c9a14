"""What a job does to some of its flows, in one transaction."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from attrs import frozen
from sqlalchemy.engine import Connection

from holdfast_journal.auditing.acts import Act
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.ownership import asking, retrying
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import DONE


@frozen
class Where:
    """In which transaction of which database, and when."""

    connection: Connection
    database: Database
    keys: KeyRing
    now: float


class Work(Protocol):
    """What is to be done to every flow of a job."""

    def do(self, where: Where, steps: Mapping[int, int], act: Act) -> Mapping[int, str | None]:
        """Do it to these flows: the attempt that each had when the job was planned.

        Returns for each None, or in words that follow its name why it was not done.
        """
        ...


@frozen
class Retry:
    """Put them back to their beginning, unless they have one of these statuses."""

    done: Collection[str] = (DONE,)

    def do(self, where: Where, steps: Mapping[int, int], act: Act) -> Mapping[int, str | None]:
        """See `Work`."""
        found = retrying.retry_some(
            where.connection, where.database, where.keys, steps, where.now, self.done, act
        )
        return {each.id: each.why_not for each in found}


@frozen
class Ask:
    """Ask this of them, as far as they are not over."""

    request: str

    def do(self, where: Where, steps: Mapping[int, int], act: Act) -> Mapping[int, str | None]:
        """See `Work`."""
        asked = asking.ask_some(where.connection, list(steps), self.request, where.now, act)
        return {flow: None if flow in asked else "had ended before" for flow in steps}


@frozen
class Change:
    """Change their parameters, and ask those that have begun to heed that; see `asking`."""

    make: Callable[[bytes], bytes]
    request: str

    def do(self, where: Where, steps: Mapping[int, int], act: Act) -> Mapping[int, str | None]:
        """See `Work`."""
        found = asking.change_some(
            where.connection,
            where.database,
            where.keys,
            list(steps),
            self.make,
            self.request,
            where.now,
            act,
        )
        return {flow: found.get(flow, "was purged") for flow in steps}
