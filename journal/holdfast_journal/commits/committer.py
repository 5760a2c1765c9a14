"""Writing commits so that each is durable, refused, or (if the disk fails) the end of this process.

No threads and no reactor here: `Committer.commit` blocks until it knows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from attrs import frozen
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from holdfast_journal.commits.statements import FenceBroken, Prepared, prepare
from holdfast_journal.commits.values import Commit
from holdfast_journal.errors import CommitFailed, DatabaseMoved, Fenced, JournalBroken
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import flows
from holdfast_journal.store.trouble import Trouble, reason, trouble

FIRST_DELAY = 0.05
LONGEST_DELAY = 5.0
"""Seconds between two attempts to write the same transaction."""

_T = TypeVar("_T")


class _Refused(Exception):
    """The database is well and will not take these statements."""


class _GaveUp(Exception):
    """The database does not answer and we were told not to wait."""


@frozen
class Committer:
    """Turns commits into transactions."""

    _database: Database
    _wait: Callable[[float], bool]
    """Called with the delay, in seconds, before another attempt; False gives up."""
    _keep_alive: Callable[[], None]
    """Makes sure that others still take this worker for alive; may raise SQLAlchemy's errors."""
    _tell: Callable[[str | None], None]
    """Called with one line when the database does not answer, and with None when it does again."""

    def commit(self, commits: Sequence[Commit]) -> Mapping[Commit, Exception]:
        """Write `commits` in one transaction; return those that are lost, and why.

        The others are durable when this returns. A flow's commits are lost from one on: what comes
        after a lost commit is lost too. Raises JournalBroken.
        """
        waiting: dict[int, list[Commit]] = {}
        for commit in commits:
            if commit.state is not None:
                if (group := waiting.get(commit.lease.id)) is not None:
                    group.append(commit)
                else:
                    waiting[commit.lease.id] = [commit]
        lost: dict[Commit, Exception] = {}
        while waiting:
            try:
                self._write(list(waiting.values()))
                break
            except _GaveUp as error:
                failure = CommitFailed(str(error))
                lost |= {commit: failure for group in waiting.values() for commit in group}
                break
            except (FenceBroken, _Refused) as error:
                fenced = self._fenced(waiting)
                for flow, fence in fenced.items():
                    lost |= dict.fromkeys(waiting.pop(flow), fence)
                if not fenced:
                    lost |= self._apart(list(waiting.values()), error)
                    break
        return lost

    def _write(self, groups: Sequence[Sequence[Commit]]) -> None:
        prepared = prepare(groups)
        unknown = False

        def attempt() -> None:
            nonlocal unknown
            if unknown and self._is_written(prepared):
                return
            try:
                with self._database.transaction(writes=True) as connection:
                    prepared.write(connection)
                    unknown = True  # what follows is COMMIT, and an error there says little
            except (FenceBroken, IntegrityError):
                # A server may have been slow to finish the transaction that we lost sight of.
                if unknown and self._is_written(prepared):
                    return
                raise

        self._persist(attempt)

    def _is_written(self, prepared: Prepared) -> bool:
        with self._database.transaction(writes=False) as connection:
            return prepared.is_written(connection)

    def _fenced(self, waiting: Mapping[int, Sequence[Commit]]) -> Mapping[int, Fenced]:
        """Those of the flows in `waiting` that are not where we left them."""
        query = select(flows.c.id, flows.c.epoch, flows.c.seq).where(flows.c.id.in_(list(waiting)))

        def attempt() -> dict[int, tuple[int, int]]:
            with self._database.transaction(writes=False) as connection:
                return {row.id: (row.epoch, row.seq) for row in connection.execute(query)}

        try:
            found = self._persist(attempt)
        except (_Refused, _GaveUp):
            found = {}
        fenced = {}
        for flow, group in waiting.items():
            expected = (group[0].lease.epoch, group[0].base)
            if flow in found and found[flow] != expected:
                fenced[flow] = Fenced(
                    f"flow {flow} was taken over: expected epoch {expected[0]}, seq {expected[1]};"
                    f" found epoch {found[flow][0]}, seq {found[flow][1]}"
                )
        return fenced

    def _apart(
        self, groups: Sequence[Sequence[Commit]], error: Exception
    ) -> Mapping[Commit, Exception]:
        """Somebody's statements spoil it for all: write flow by flow, then commit by commit."""
        lost: dict[Commit, Exception] = {}
        if len(groups) > 1:
            for group in groups:
                lost |= self.commit(group)
            return lost
        (group,) = groups
        if len(group) == 1:
            failure = CommitFailed(f"flow {group[0].lease.id} cannot be written: {error}")
            return {group[0]: failure}
        for commit in group:
            if lost:
                lost[commit] = next(iter(lost.values()))
            else:
                lost |= self.commit([commit])
        return lost

    def _persist(self, attempt: Callable[[], _T]) -> _T:
        """Call `attempt` until the database answers, if only to refuse."""
        delay = 0.0
        while True:
            try:
                if delay:
                    self._keep_alive()
                result = attempt()
            except DatabaseMoved as error:
                # Perhaps it was written, but to where nobody will look for it.
                raise JournalBroken(str(error)) from error
            except SQLAlchemyError as error:
                text = f"{type(error).__name__}: {reason(error)}"
                match trouble(error):
                    case Trouble.REFUSED:
                        self._answers(delay)
                        raise _Refused(text) from error
                    case Trouble.BROKEN:
                        raise JournalBroken(
                            f"the disk under {self._database.name} failed: {text}"
                        ) from error
                if not delay:
                    self._tell(text)
                delay = min(max(FIRST_DELAY, delay * 2), LONGEST_DELAY)
                if not self._wait(delay):
                    raise _GaveUp(f"the database does not answer: {text}") from error
            except FenceBroken:
                self._answers(delay)
                raise
            else:
                self._answers(delay)
                return result

    def _answers(self, delay: float) -> None:
        if delay:
            self._tell(None)
