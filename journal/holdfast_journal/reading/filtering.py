"""`Filter`: which flows an operator means, answered by the database."""

from collections.abc import Collection, Mapping

from attrs import frozen
from sqlalchemy import ColumnElement, and_, func, literal, or_, select, true

from holdfast_journal.statuses import CANCEL, CANCELLING
from holdfast_journal.store.dialect import Dialect
from holdfast_journal.store.schema import batches, flows

SINCE = func.coalesce(flows.c.finished_at, flows.c.updated_at)
"""Since when a flow stands as it does: when it ended, or when it last moved."""

ASKED_TO_END = flows.c.request.is_not(None) & (flows.c.request == CANCEL)
"""Whether a flow was asked to end, and has not ended. Never NULL."""


@frozen
class Filter:
    """Which flows are meant: those for which everything holds that is said. None says nothing.

    Args:
        statuses: words of the database; CANCELLING for flows that were asked to end, which then
            count as nothing else.
        kinds: the kinds of flows.
        batch: the name of a batch.
        names: exactly these names.
        ids: exactly these flows.
        glob: a pattern that the whole name matches, in which `*` is any text and `?` one character.
        since: in seconds since the epoch: flows that ended then or later, or are not over and moved
            then or later.
        finished: whether they are over.
        uids: exactly these flows, by what is never used again.
    """

    statuses: Collection[str] | None = None
    kinds: Collection[str] | None = None
    batch: str | None = None
    names: Collection[str] | None = None
    ids: Collection[int] | None = None
    glob: str | None = None
    since: float | None = None
    finished: bool | None = None
    uids: Collection[str] | None = None

    def condition(self, dialect: Dialect) -> ColumnElement[bool]:
        """Whether a row of `flows` is meant; to be executed with `parameters`."""
        said: list[ColumnElement[bool]] = [true()]
        if self.statuses is not None:
            said.append(_stands_as(self.statuses))
        if self.kinds is not None:
            said.append(flows.c.kind.in_(self.kinds))
        if self.names is not None:
            # A name has an index with its batch only; there are few of those.
            every = select(batches.c.id)
            inside = every if self.batch is None else every.where(batches.c.name == self.batch)
            said += [flows.c.batch_id.in_(inside), dialect.among(flows.c.name, "names")]
        elif self.batch is not None:
            named = select(batches.c.id).where(batches.c.name == self.batch)
            said.append(flows.c.batch_id == named.scalar_subquery())
        if self.ids is not None:
            said.append(dialect.among(flows.c.id, "ids"))
        if self.uids is not None:
            said.append(dialect.among(flows.c.uid, "uids"))
        if self.glob is not None:
            said.append(dialect.globs(flows.c.name, self.glob))
        if self.since is not None:
            said.append(literal(self.since) <= SINCE)
        if self.finished is not None:
            over = flows.c.finished_at
            said.append(over.is_not(None) if self.finished else over.is_(None))
        return and_(*said)

    def parameters(self, dialect: Dialect) -> Mapping[str, object]:
        """What `condition` is executed with."""
        given = {"names": self.names, "ids": self.ids, "uids": self.uids}
        return {key: dialect.listed(each) for key, each in given.items() if each is not None}


def _stands_as(words: Collection[str]) -> ColumnElement[bool]:
    known = [word for word in words if word != CANCELLING]
    ways = [flows.c.status.in_(known) & ~ASKED_TO_END]
    return or_(*ways, ASKED_TO_END) if CANCELLING in words else ways[0]
