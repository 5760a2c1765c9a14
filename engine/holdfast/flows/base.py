"""What a flow is: a wormhole and an application's own data, known by a name.

    @flow("issue-token", appid="example.com/issue-token")
    class IssueToken(Flow):
        user: str

        def started(self) -> None:
            self.wormhole.allocate_code()

The fields that `__init__` takes are the flow's parameters; those with `init=False` are its own
data. All are JSON values (or attrs classes of them), and are saved with the wormhole in one
transaction. Methods run in the reactor's thread, inside a journal entry, and do no I/O: work
outside the wormhole is a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, dataclass_transform

from attrs import define, field

from holdfast.errors import WormholeError
from holdfast.flows.activities import Wanted
from holdfast.flows.asked import methods_not_called, results_not_taken, tasks_not_known
from holdfast.flows.tasks import Function, name_of
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from sqlalchemy import Executable

    from holdfast.shell.wormhole import DelegatedWormhole
    from holdfast_journal import Parameters


class Host(Protocol):
    """What a flow can ask the engine that runs it to do."""

    @property
    def wormhole(self) -> DelegatedWormhole:
        """The flow's wormhole."""
        ...

    def publish(self, values: dict[str, str | int | float | None]) -> None:
        """Show values to the operators."""
        ...

    def execute(self, statement: Executable, parameters: Parameters) -> None:
        """Execute the application's statement in the transaction of this entry."""
        ...

    def before_commit(self, call: Callable[..., object], args: tuple[object, ...]) -> None:
        """Call it in the thread that writes, before the transaction of this entry."""
        ...

    def perform(self, task: str, arguments: dict[str, Any]) -> None:
        """Run a task after the commit."""
        ...

    def perform_detached(self, task: str, arguments: dict[str, Any]) -> None:
        """Run a task after the commit, whatever becomes of the flow."""
        ...

    def tell_trouble(self, reason: str) -> None:
        """Tell whoever must know that something is wrong."""
        ...

    def end_as(self, status: FlowStatus, reason: str) -> None:
        """Give the flow its verdict, and close the wormhole."""
        ...

    def wake_at(self, when: float | None) -> None:
        """Call the flow's `woken` at that time."""
        ...

    def reopen(self, reason: str, after: float) -> None:
        """Go on with a new wormhole."""
        ...

    def expire_at(self, when: float | None) -> None:
        """End the flow at that time."""
        ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class Flow:
    """The base class of flows: subclass it, and register the subclass with `flow`.

    The engine calls `started` once in each attempt, then those `wormhole_got_*` methods of the
    delegate that are defined, and `NAME_done(result)` or `NAME_failed(reason)` for each task; a
    flow that wants no result of a task says `NAME_done = None`. One that defines
    `wormhole_dilated` may dilate its wormhole (`DelegatedWormhole.dilate`). A flow whose wormhole
    is closed happily is done; `finish` and `fail` say it more clearly.
    """

    kind: ClassVar[str]
    appid: ClassVar[str]
    versions: ClassVar[Mapping[str, Any]] = {}
    """What the peer is told as our versions, JSON values; see `holdfast.create`."""
    tasks_of_its_command: ClassVar[frozenset[str]] = frozenset()
    """Tasks that only one command registers, and no worker need know."""
    _host: Host

    def started(self) -> None:
        """Begin; called inside the flow's first entry."""
        raise NotImplementedError

    @property
    def wormhole(self) -> DelegatedWormhole:
        """The flow's wormhole."""
        return self._host.wormhole

    def publish(self, **values: str | int | float | None) -> None:
        """Show values to operators, for example in `holdfast status`; they are sealed at rest."""
        self._host.publish(values)

    def execute(self, statement: Executable, parameters: Parameters = None) -> None:
        """Execute `statement` in the transaction of this entry: both are durable, or neither is.

        It writes the application's own tables, in the same database, and returns nothing. The
        database runs it after the method has returned; a statement that the database refuses has
        the effect of an exception.

        Args:
            statement: SQLAlchemy's, such as `text("INSERT INTO ...")`.
            parameters: its values, or a sequence of such mappings, one for each row.
        """
        self._host.execute(statement, parameters)

    def before_commit(self, call: Callable[..., object], *args: object) -> None:
        """Call `call` before the transaction of this entry is committed, in the thread that writes.

        For what the entry relies on and the database does not have, such as `os.fdatasync` of a
        file: the reactor need not wait for that. If it raises, nothing is committed, and the flow
        is loaded again.
        """
        self._host.before_commit(call, args)

    def perform(self, task: Function | str, **arguments: Any) -> None:
        """Run a task, given by its name or as its function, after the commit of this entry.

        It runs at least once, with the same idempotency key at every try, and its result comes
        back as `TASK_done(result)`; if it fails for good, as `TASK_failed(reason)`.

        Raises:
            ValueError: the function is no task, or it is several.
        """
        name = name_of(task)
        self._host.perform(name, arguments)

    def perform_detached(self, task: Function | str, **arguments: Any) -> None:
        """Run a task after the commit of this entry, whatever becomes of the flow.

        It runs at least once, with the same idempotency key at every try, until it is done: also
        when the flow is over, was shredded, or is retried. Any worker that knows the task may run
        it. The flow does not wait for it, and does not hear of its result.

        Raises:
            ValueError: the function is no task, or it is several.
        """
        self._host.perform_detached(name_of(task), arguments)

    def tell_trouble(self, reason: str) -> None:
        """Tell whoever must know (`--on-trouble`) that something is wrong, and go on.

        Args:
            reason: in words; keep secrets out of it.
        """
        self._host.tell_trouble(reason)

    def activity(self) -> Wanted | None:
        """Return what should be going on outside the wormhole now, or None.

        It follows from the flow's fields alone: it is asked after each entry, and after a restart.
        What goes on reports to the flow, whose `KIND_WHAT(value)` is called; see
        `holdfast.flows.activities`.
        """
        return None

    def giving_up(self) -> None:
        """Called in the entry in which an operator cancels the flow, or in which it expires.

        The last time to say something to the peer, who hears nothing of it otherwise.
        """

    def finish(self) -> None:
        """Say that the flow has done its work, whatever happens while the wormhole closes."""
        self._host.end_as(FlowStatus.DONE, "")

    def fail(self, reason: str) -> None:
        """Say that the flow cannot do its work; operators see `reason`: keep secrets out of it."""
        self._host.end_as(FlowStatus.FAILED, reason)

    def wake_at(self, when: float | None) -> None:
        """Have `woken` called at this time, in seconds since the epoch, or soon after it.

        A flow has one such time, and a later call replaces it; None cancels it. It outlives the
        process: if it has passed, `woken` is called when the flow is run again.
        """
        self._host.wake_at(when)

    def woken(self) -> None:
        """Called when the time of `wake_at` has come; an event like all others."""

    def reopen(self, reason: str, *, after: float = 0.0) -> None:
        """Go on with a new wormhole instead of ending, from inside `wormhole_closed`.

        The new wormhole's first event is a call of `reopened`. A flow that has its verdict ends all
        the same.

        Args:
            reason: why, for the log that operators read.
            after: seconds to wait, at most ten minutes.

        Raises:
            ValueError: the peer had proved the code, and may have been told something.
        """
        self._host.reopen(reason, after)

    def reopened(self) -> None:
        """Called once at the beginning of each new wormhole that `reopen` leads to."""
        raise NotImplementedError

    def expire_at(self, when: float | None) -> None:
        """Have the flow end as expired at this time, in seconds since the epoch.

        Its code is freed and its secrets are shredded. If the peer is there and has proved the
        code, the flow has ten more minutes to finish. None cancels the deadline.
        """
        self._host.expire_at(when)

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._host.now()


F = TypeVar("F", bound=Flow)
_kinds: dict[str, type[Flow]] = {}


class UnknownFlow(WormholeError):
    """A flow of that kind is not registered in this process."""


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
def flow(kind: str, *, appid: str) -> Callable[[type[F]], type[F]]:
    """Register a subclass of `Flow` under a name that never changes.

    Args:
        kind: the name in the database, so that moving or renaming the class changes nothing.
        appid: the application's identifier on the wire, unless the operator gives another.

    Raises:
        ValueError: another class has this name.
        TypeError: it performs a task and has no method for the result.
    """

    def register(cls: type[F]) -> type[F]:
        made = define(cls, slots=False, kw_only=True)
        made.kind, made.appid = kind, appid
        if kind in _kinds:
            raise ValueError(f"two flows are called {kind!r}")
        for problem in results_not_taken(made):
            raise TypeError(f"the flow {kind!r}: {problem}")
        _kinds[kind] = made
        return made

    return register


def flow_class(kind: str) -> type[Flow]:
    """Return the class that is registered as `kind`.

    Raises:
        UnknownFlow: no class is registered under that name.
    """
    try:
        return _kinds[kind]
    except KeyError:
        raise UnknownFlow(
            f"no flow of the kind {kind!r} is known here: import the module that defines it"
        ) from None


def problems(kind: str, *, tasks: bool = True) -> Iterator[str]:
    """Say what is wrong with the names of tasks in a flow, once its tasks are registered too.

    Args:
        kind: the flow.
        tasks: whether all tasks must be known here that it may ask for.

    Raises:
        UnknownFlow: no class is registered under that name.
    """
    made = flow_class(kind)
    found = [*results_not_taken(made), *methods_not_called(made, made.tasks_of_its_command)]
    if tasks:
        found += tasks_not_known(made, made.tasks_of_its_command)
    for problem in found:
        yield f"the flow {kind!r}: {problem}"


def kinds() -> tuple[str, ...]:
    """Return the names of all registered flows."""
    return tuple(_kinds)
