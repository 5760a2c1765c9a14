"""Writing commits so that each is durable, refused, or (if the disk fails) the end of this process.

No threads and no reactor here: `Committer.commit` blocks until it knows.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from attrs import frozen
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from holdfast_journal.commits.statements import FenceBroken, Prepared, prepare
from holdfast_journal.commits.values import Commit, Fence
from holdfast_journal.errors import CommitFailed, DatabaseMoved, Fenced, JournalBroken
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import flows
from holdfast_journal.store.trouble import ErrorKind, reason, trouble

FIRST_DELAY = 0.05
LONGEST_DELAY = 5.0
"""Seconds between two attempts to write the same transaction."""

_T = TypeVar("_T")

Group: TypeAlias = Sequence[Commit]
"""Commits of one flow under one epoch, in order."""


class _Refused(Exception):
    """The database is well and will not take these statements."""


class _GaveUp(Exception):
    """The database does not answer, and the caller does not want to wait."""


@frozen
class Committer:
    """Turns commits into transactions."""

    _database: Database
    _wait: Callable[[float], bool]
    """Called with the delay, in seconds, before another attempt; False gives up."""
    _keep_alive: Callable[[], None]
    """Makes sure that other workers still see us as alive; may raise SQLAlchemy's errors."""
    _tell: Callable[[str | None], None]
    """Called with one line when the database does not answer, and with None when it does again."""

    def commit(self, commits: Sequence[Commit]) -> Mapping[Commit, Exception]:
        """Write `commits` in one transaction; return those that are lost, and why.

        The others are durable when this returns. If a commit is lost, all later commits of its flow
        are lost too. Raises JournalBroken.
        """
        groups, lost = _prepare_outside(_by_fence(commits))
        failed: dict[Fence, Exception] = {}
        attempts = deque([groups] if groups else ())
        while attempts:
            groups = attempts.popleft()
            first = groups[0][0].fence
            if first not in failed:  # or the commit before this one was lost
                try:
                    self._write(groups)
                    continue
                except _GaveUp as error:
                    failed |= dict.fromkeys(_fences(groups), CommitFailed(str(error)))
                except (FenceBroken, _Refused) as error:
                    if fenced := self._fenced(groups):
                        failed |= fenced
                    elif smaller := _divided(groups):
                        attempts.extendleft(reversed(smaller))
                        continue
                    else:
                        failed[first] = CommitFailed(f"flow {first.id} cannot be written: {error}")
            left = []
            for group in groups:
                if (failure := failed.get(group[0].fence)) is None:
                    left.append(group)
                else:
                    lost |= dict.fromkeys(group, failure)
            if left:
                attempts.appendleft(left)
        return lost

    def _write(self, groups: Sequence[Group]) -> None:
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
                # The server may have finished late the transaction that we lost sight of.
                if unknown and self._is_written(prepared):
                    return
                raise

        self._persist(attempt)

    def _is_written(self, prepared: Prepared) -> bool:
        with self._database.transaction(writes=False) as connection:
            return prepared.is_written(connection)

    def _fenced(self, groups: Sequence[Group]) -> dict[Fence, Exception]:
        """Return the fences of those of the flows that are not where we left them."""
        ids = {fence.id for fence in _fences(groups)}
        query = select(flows.c.id, flows.c.epoch, flows.c.seq).where(flows.c.id.in_(ids))

        def attempt() -> dict[int, tuple[int, int]]:
            with self._database.transaction(writes=False) as connection:
                return {row.id: (row.epoch, row.seq) for row in connection.execute(query)}

        try:
            found = self._persist(attempt)
        except (_Refused, _GaveUp):
            found = {}
        fenced: dict[Fence, Exception] = {}
        for fence, group in zip(_fences(groups), groups, strict=True):
            flow, expected = fence.id, (fence.epoch, group[0].base)
            if flow in found and found[flow] != expected:
                fenced[fence] = Fenced(
                    f"flow {flow} was taken over: expected epoch {expected[0]}, seq {expected[1]};"
                    f" found epoch {found[flow][0]}, seq {found[flow][1]}"
                )
        return fenced

    def _persist(self, attempt: Callable[[], _T]) -> _T:
        """Call `attempt` until the database answers, if only to refuse."""
        delay = 0.0
        while True:
            try:
                if delay:
                    self._keep_alive()
                result = attempt()
            except DatabaseMoved as error:
                # Perhaps it was written, but to a place where no process will look for it.
                raise JournalBroken(str(error)) from error
            except SQLAlchemyError as error:
                text = f"{type(error).__name__}: {reason(error)}"
                match trouble(error):
                    case ErrorKind.REFUSED:
                        self._answers(delay)
                        raise _Refused(text) from error
                    case ErrorKind.BROKEN:
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


def _prepare_outside(groups: Iterable[Group]) -> tuple[list[Group], dict[Commit, Exception]]:
    """Call what is to be called before; return what can be written then, and what is lost."""
    ready: list[Group] = []
    lost: dict[Commit, Exception] = {}
    for group in groups:
        written = 0
        try:
            for commit in group:
                for call in commit.before:
                    call()
                written += 1
        except Exception as error:  # noqa: BLE001 - whatever the application raised
            flow = group[0].fence.id
            text = f"flow {flow} cannot be written: {type(error).__name__}: {error}"
            failure = CommitFailed(text)
            failure.__cause__ = error
            lost |= dict.fromkeys(group[written:], failure)
        if written:
            ready.append(group[:written])
    return ready, lost


def _by_fence(commits: Sequence[Commit]) -> list[Group]:
    """Those that have something to write.

    By fence, not by flow: a commit may have waited while its flow was taken by another worker, and
    then by this one again.
    """
    groups: dict[Fence, list[Commit]] = {}
    for commit in commits:
        if commit.state is not None:
            if (group := groups.get(commit.fence)) is not None:
                group.append(commit)
            else:
                groups[commit.fence] = [commit]
    return list(groups.values())


def _fences(groups: Sequence[Group]) -> list[Fence]:
    return [group[0].fence for group in groups]


def _divided(groups: Sequence[Group]) -> Sequence[list[Group]]:
    """Smaller transactions: flow by flow, or commit by commit; none for a single commit.

    One flow's statements make a transaction fail that others share.
    """
    if len(groups) > 1:
        return [[group] for group in groups]
    return [[[commit]] for commit in groups[0]] if len(groups[0]) > 1 else ()
