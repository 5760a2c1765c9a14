"""What goes on beside a running flow: its activity, begun, told of changes, and stopped.

What is wanted is compared after each entry with what was wanted before, and the activity is told
behind the commit. So it never acts on something that could be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.flows.activities import Activity, Wanted, begins
from holdfast.flows.tasks import method_name

if TYPE_CHECKING:
    from holdfast.flows.engine.host import FlowHost
    from holdfast.flows.engine.owner import RunnerOwner
    from holdfast.transit.keeping import Keeper

MakesEntry: TypeAlias = Callable[[str, str, Callable[[], object]], None]

_log = Logger()


@define(eq=False)
class Beside:
    """One flow's activity.

    Args:
        host: what the flow asks.
        owner: the engine.
        entry: surrounds an entry of the history.
        broken: told of an exception, which ends this life of the flow.
    """

    _host: FlowHost
    _owner: RunnerOwner
    _entry: MakesEntry
    _broken: Callable[[Failure], object]
    _wanted: Wanted | None = field(default=None, init=False, repr=False)
    """As of the last entry."""
    _running: _Session | None = field(default=None, init=False)

    @property
    def is_wanted(self) -> bool:
        """Whether something should be going on."""
        return self._wanted is not None

    def compare(self, wanted: Wanted | None) -> None:
        """Note what the flow wants now, and have it seen to once that is durable."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._host.release(partial(self._see_to, wanted))

    def stop(self) -> None:
        """The flow does not run here any more."""
        self._wanted = None
        self._end()

    def clear(self, last: Wanted, *, failed: bool) -> None:
        """The flow is over: have the activity clear up once that is durable."""
        self._wanted = None
        self._host.release(partial(self._clear, last, failed=failed))

    def _clear(self, last: Wanted, *, failed: bool) -> None:
        running, self._running = self._running, None
        if running is None:
            running = _Session(last.kind, self._host, self._owner, self._entry, self._broken)
        running.clear(last.details, failed=failed)

    def _see_to(self, wanted: Wanted | None) -> None:
        if self._host.is_over:
            return
        try:
            if self._running is not None and (wanted is None or wanted.kind != self._running.kind):
                self._end()
            if wanted is not None:
                if self._running is None:
                    self._running = _Session(
                        wanted.kind, self._host, self._owner, self._entry, self._broken
                    )
                self._running.wants(wanted.details)
        except Exception:  # noqa: BLE001 - whatever the activity's code raised; it is reported
            self._broken(Failure())

    def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.end()


@define(eq=False)
class _Session:
    """One activity for as long as it goes on; see `holdfast.flows.activities.Session`."""

    kind: str
    _host: FlowHost = field(repr=False)
    _owner: RunnerOwner = field(repr=False)
    _entry: MakesEntry = field(repr=False)
    _broken: Callable[[Failure], object] = field(repr=False)
    _activity: Activity | None = field(default=None, init=False, repr=False)
    _is_over: bool = field(default=False, init=False)

    def wants(self, details: Any) -> None:
        """Begin, if it has not begun; then pass on what is wanted now."""
        if self._activity is None:
            self._activity = begins(self.kind)(self)
        self._activity.wants(details)

    def end(self) -> None:
        """Stop it, and hear nothing more from it."""
        self._is_over = True
        activity, self._activity = self._activity, None
        if activity is not None:
            self._logged(activity.stop)

    def clear(self, details: Any, *, failed: bool) -> None:
        """Have it clear up, and hear nothing more from it."""
        self._is_over = True
        activity, self._activity = self._activity, None
        self._logged(lambda: (activity or begins(self.kind)(self)).clear(details, failed=failed))

    def _logged(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 - the flow has left already: nothing else can be done
            _log.failure("the activity {kind} could not be stopped", kind=self.kind)

    # What the activity asks.

    @property
    def reactor(self) -> Any:
        """Twisted's reactor."""
        return self._owner.clock

    @property
    def tor(self) -> object:
        """What every connection must be made through, if it is Tor."""
        return self._owner.options.tor

    @property
    def keeper(self) -> Keeper | None:
        """What holds connections beyond the death of this process."""
        return self._owner.keeper

    @property
    def key(self) -> str:
        """The same in every life of this flow."""
        return self._host.taken.uid

    def in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call `call`, which blocks, in a thread of its own."""
        return self._owner.look_up(partial(call, *args))

    def report(self, what: str, value: Any) -> Deferred[None]:
        """Tell the flow."""
        durable: Deferred[None] = Deferred()
        if self._is_over or self._host.is_over:
            return durable

        def happen() -> None:
            self._host.tell(f"{method_name(self.kind)}_{what}", value)
            self._host.release(partial(self._is_durable, durable))

        self._entry("activity", f"{self.kind}: {what}", happen)
        return durable

    def _is_durable(self, durable: Deferred[None]) -> None:
        if not self._is_over:
            durable.callback(None)

    def failed(self, error: BaseException) -> None:
        """Have the flow loaded again."""
        if not self._is_over:
            self._broken(Failure(error))
