"""Deferred mode: the same wormhole, whose events are asked for instead of told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast.errors import CannotSerialize, WormholeClosed
from holdfast.shell.typing.helper import InputHelper
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast.status import DilationStatus

if TYPE_CHECKING:
    from holdfast.dilation.dilated import DilatedWormhole
    from holdfast.transit.keys import Role
    from holdfast.transit.transit import TransitReceiver, TransitSender

T = TypeVar("T")


class Eventually:
    """Calls in a later turn of the reactor, in the order in which they were asked for.

    One serves all wormholes of a reactor; what is called raises nothing.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: list[Callable[[], object]] = []

    def call(self, function: Callable[[], object]) -> None:
        """Call `function` soon, and not now."""
        self._calls.append(function)
        if len(self._calls) == 1:
            self._reactor.callLater(0, self._run)

    def _run(self) -> None:
        # Calls that are added meanwhile wait for another turn, so that sockets are served.
        calls, self._calls = self._calls, []
        for call in calls:
            call()


class Once(Generic[T]):
    """Something that happens once, or never will; callers may wait for it, before or after.

    Deferreds fire in a later turn of the reactor, never inside the call that caused them.
    """

    # A wormhole has half a dozen of these, and there are thousands of wormholes.
    __slots__ = ("_eventually", "_outcome", "_waiting")

    def __init__(self, eventually: Eventually) -> None:
        self._eventually = eventually
        self._waiting: tuple[Deferred[T], ...] = ()
        self._outcome: T | BaseException | None = None
        """None until it has happened; what happens is never None, and never an exception."""

    def wait(self) -> Deferred[T]:
        """Return a Deferred of it."""
        waiting: Deferred[T] = Deferred()
        self._waiting += (waiting,)
        self._tell()
        return waiting

    def happen(self, value: T) -> None:
        """It has happened."""
        if self._outcome is None:
            self._outcome = value
            self._tell()

    def fail(self, error: BaseException) -> None:
        """Give every caller only this error from now on, even if something had happened before."""
        if not isinstance(self._outcome, BaseException):
            self._outcome = error
            self._tell()

    def _tell(self) -> None:
        if self._outcome is not None and self._waiting:
            told, self._waiting = self._waiting, ()
            self._eventually.call(partial(_fire, told, self._outcome))


def _fire(told: Iterable[Deferred[Any]], outcome: object) -> None:
    for waiting in told:
        if waiting.called:  # its caller has cancelled it
            continue
        if isinstance(outcome, BaseException):
            waiting.errback(Failure(outcome))
        else:
            waiting.callback(outcome)


class Each(Generic[T]):
    """Things that come one after another; each is given to one waiting caller, in order."""

    __slots__ = ("_error", "_eventually", "_things", "_waiting")

    def __init__(self, eventually: Eventually) -> None:
        self._eventually = eventually
        # An empty deque is ten times as large as a list, so there is one only while it is used.
        self._things: deque[T] | None = None
        self._waiting: deque[Deferred[T]] | None = None
        self._error: BaseException | None = None

    def wait(self) -> Deferred[T]:
        """Return a Deferred of the next one that no other caller waits for."""
        waiting: Deferred[T] = Deferred()
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(waiting)
        self._eventually.call(self._fire)
        return waiting

    def happen(self, thing: T) -> None:
        """Another one has come."""
        if self._things is None:
            self._things = deque()
        self._things.append(thing)
        self._eventually.call(self._fire)

    def fail(self, error: BaseException) -> None:
        """Let no more come; those that no caller has asked for are gone."""
        # In its turn, behind those that came before.
        self._eventually.call(partial(self._end, error))

    def _end(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
            self._things = None
        self._fire()

    def _fire(self) -> None:
        while self._waiting and (self._things or self._error is not None):
            waiting = self._waiting.popleft()
            if waiting.called:  # its caller has cancelled it
                continue
            if self._error is not None:
                waiting.errback(Failure(self._error))
            elif self._things:
                waiting.callback(self._things.popleft())
        self._waiting = self._waiting or None
        self._things = self._things or None


class Observers:
    """The delegate of a wormhole in Deferred mode."""

    __slots__ = (
        "_is_down",
        "_result",
        "closed",
        "code",
        "key",
        "messages",
        "verifier",
        "versions",
        "welcome",
    )

    def __init__(self, eventually: Eventually) -> None:
        self.welcome: Once[Mapping[str, Any]] = Once(eventually)
        self.code: Once[str] = Once(eventually)
        self.key: Once[bytes] = Once(eventually)
        self.verifier: Once[bytes] = Once(eventually)
        self.versions: Once[Mapping[str, Any]] = Once(eventually)
        self.messages: Each[bytes] = Each(eventually)
        self.closed: Once[str] = Once(eventually)
        self._result: str | Exception | None = None
        self._is_down = False

    def wormhole_got_welcome(self, welcome: Mapping[str, Any]) -> None:
        """Fire `get_welcome`."""
        self.welcome.happen(welcome)

    def wormhole_got_code(self, code: str) -> None:
        """Fire `get_code`."""
        self.code.happen(code)

    def wormhole_got_unverified_key(self, key: bytes) -> None:
        """Fire `get_unverified_key`."""
        self.key.happen(key)

    def wormhole_got_verifier(self, verifier: bytes) -> None:
        """Fire `get_verifier`."""
        self.verifier.happen(verifier)

    def wormhole_got_versions(self, versions: Mapping[str, Any]) -> None:
        """Fire `get_versions`."""
        self.versions.happen(versions)

    def wormhole_got_message(self, message: bytes) -> None:
        """Fire one `get_message`."""
        self.messages.happen(message)

    def wormhole_closed(self, result: str | Exception) -> None:
        """Fail everything that is waited for; `close` fires once the connection is down too."""
        if self._result is not None:
            return
        self._result = result
        error = result if isinstance(result, Exception) else WormholeClosed(result)
        for each in (self.welcome, self.code, self.key, self.verifier, self.versions):
            each.fail(error)
        self.messages.fail(error)
        self._end()

    def down(self) -> None:
        """The connection is down for good."""
        self._is_down = True
        self._end()

    def _end(self) -> None:
        """Fire `close`, once there is a result and no connection any more."""
        if self._result is None or not self._is_down:
            return
        if isinstance(self._result, Exception):
            self.closed.fail(self._result)
        else:
            self.closed.happen(self._result)


class DeferredWormhole:
    """A wormhole whose events are Deferreds, which may be awaited too.

    Made by `holdfast.create` without a delegate. Each `get_` method may be called before or after
    its event, and as often as you like; `get_message` gives one message a call, in order. If the
    wormhole closes badly, all of them fail with its error, including those that had fired before;
    after a happy end they fail with `WormholeClosed`.
    """

    __slots__ = ("__weakref__", "_inner", "_observers")

    def __init__(self, inner: DelegatedWormhole, observers: Observers) -> None:
        self._inner = inner
        self._observers = observers
        inner.on_down(observers.down)

    def get_welcome(self) -> Deferred[Mapping[str, Any]]:
        """Return a Deferred of the server's welcome message."""
        return self._observers.welcome.wait()

    def get_code(self) -> Deferred[str]:
        """Return a Deferred of the code, once it is known."""
        return self._observers.code.wait()

    def get_unverified_key(self) -> Deferred[bytes]:
        """Return a Deferred of the key agreed with a peer that may not know the code."""
        return self._observers.key.wait()

    def get_verifier(self) -> Deferred[bytes]:
        """Return a Deferred of the verifier (32 bytes), once the peer has proved itself."""
        return self._observers.verifier.wait()

    def get_versions(self) -> Deferred[Mapping[str, Any]]:
        """Return a Deferred of what the peer passed to `create(versions=)`."""
        return self._observers.versions.wait()

    def get_message(self) -> Deferred[bytes]:
        """Return a Deferred of the next message that no other call waits for."""
        return self._observers.messages.wait()

    def allocate_code(
        self, length: int = 2, *, code_length: int | None = None, number_digits: int = 0
    ) -> None:
        """See `DelegatedWormhole.allocate_code`."""
        self._inner.allocate_code(length, code_length=code_length, number_digits=number_digits)

    def set_code(self, code: str, *, again: bool = False) -> None:
        """See `DelegatedWormhole.set_code`."""
        self._inner.set_code(code, again=again)

    def input_code(self) -> InputHelper:
        """See `DelegatedWormhole.input_code`."""
        return self._inner.input_code()

    def send_message(self, message: bytes) -> None:
        """See `DelegatedWormhole.send_message`."""
        self._inner.send_message(message)

    def derive_key(self, purpose: str, length: int = 32) -> bytes:
        """See `DelegatedWormhole.derive_key`."""
        return self._inner.derive_key(purpose, length)

    def create_transit(
        self, role: Role, transit_relay: str | None = None, *, no_listen: bool = False
    ) -> TransitSender | TransitReceiver:
        """See `DelegatedWormhole.create_transit`."""
        return self._inner.create_transit(role, transit_relay, no_listen=no_listen)

    def dilate(
        self,
        transit_relay_location: str | None = None,
        no_listen: bool = False,  # noqa: FBT001, FBT002 - as the stock library has it
        on_status_update: Callable[[DilationStatus], object] | None = None,
        ping_interval: float | None = None,
        expected_subprotocols: Iterable[str] | None = None,
        *,
        peer_timeout: float | None = None,
    ) -> DilatedWormhole:
        """See `DelegatedWormhole.dilate`."""
        return self._inner.dilate(
            transit_relay_location,
            no_listen,
            on_status_update,
            ping_interval,
            expected_subprotocols,
            peer_timeout=peer_timeout,
        )

    def close(self) -> Deferred[str]:
        """End the wormhole; everything sent so far still arrives.

        Returns:
            A Deferred that fires with "happy" when nothing of ours is left on the server and the
            connection is down; or fails with the WormholeError that the wormhole ended with.
            A second call gives the same result.
        """
        self._inner.close()
        return self._observers.closed.wait()

    def serialize(self) -> dict[str, Any]:
        """Refuse: Deferreds cannot be saved.

        Raises:
            CannotSerialize: always.
        """
        raise CannotSerialize
