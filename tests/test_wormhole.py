"""The wormhole that applications hold, without a network: what is told when, and what is sent."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.internet.task import Clock

import holdfast
from holdfast import errors
from holdfast.core import checkpoint
from holdfast.core.exchange import Exchange
from holdfast.status import Connected, Disconnected, Unreachable
from holdfast.wormhole import LONGEST_MESSAGE, DelegatedWormhole
from holdfast_journal import IJournal, ImmediateJournal, Journal
from tests.flows.world import URL, Server
from tests.harness import reactor as test_reactor

APPID = "example.com/test"
CALLBACKS = [
    "welcome", "code", "unverified_key", "verifier", "versions", "message", "message", "closed",
]  # fmt: skip


class Delegate:
    """Notes what it is told; *react* is called with each, inside the callback."""

    def __init__(self, react: Callable[[str, Any], object] = lambda name, argument: None) -> None:
        self.told: list[tuple[str, Any]] = []
        self.react = react

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        kind = name.removeprefix("wormhole_got_").removeprefix("wormhole_")
        if kind == name:
            raise AttributeError(name)

        def told(argument: Any) -> None:
            self.told.append((kind, argument))
            self.react(kind, argument)

        return told

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def got(self, name: str) -> list[Any]:
        return [argument for each, argument in self.told if each == name]


@pytest.fixture
def server() -> Server:
    return Server()


def pump(server: Server) -> None:
    while server.queue:
        server.queue.popleft()()


def make(
    server: Server,
    delegate: object,
    journal: IJournal | None = None,
    *,
    side: str = "",
    **options: Any,
) -> DelegatedWormhole:
    name = side or f"{id(delegate):010x}"[-10:]
    exchange = Exchange(APPID, name, options.pop("versions", {}))
    wormhole = DelegatedWormhole(
        URL, exchange, delegate, journal or ImmediateJournal(), server.connector, **options
    )
    wormhole.start()
    return wormhole


def load(
    server: Server, data: dict[str, Any], delegate: object, journal: IJournal | None = None
) -> DelegatedWormhole:
    saved = checkpoint.load(json.loads(json.dumps(data)))
    wormhole = DelegatedWormhole(
        saved.relay_url,
        saved.exchange,
        delegate,
        journal or ImmediateJournal(),
        server.connector,
        pending=saved.pending,
    )
    wormhole.start()
    return wormhole


def test_the_order_of_callbacks(server: Server) -> None:
    """Code, key, verifier, versions and messages come in this order, closed last and once."""
    left, right = Delegate(), Delegate()
    one = make(server, left, versions={"v": 1})
    two = make(server, right)
    one.set_code("4-purple-sausages")
    assert left.names == ["code"], "told inside set_code"
    two.set_code("4-purple-sausages")
    two.send_message(b"first")
    two.send_message(b"")
    pump(server)
    one.close()
    one.close()
    two.close()
    pump(server)
    one.close()
    assert left.names == ["code", "welcome", *CALLBACKS[2:]]
    assert right.names == ["code", "welcome", *CALLBACKS[2:5], "closed"]
    assert left.got("message") == [b"first", b""]
    assert left.got("verifier") == right.got("verifier")
    assert right.got("versions") == [{"v": 1}]
    assert left.got("closed") == right.got("closed") == ["happy"]
    assert server.empty


def test_only_some_methods(server: Server) -> None:
    """A delegate with the one method that it cares about is enough, and so is one with none."""

    class Little:
        def __init__(self) -> None:
            self.messages: list[bytes] = []

        def wormhole_got_message(self, message: bytes) -> None:
            self.messages.append(message)

    little = Little()
    one, two = make(server, little), make(server, object())
    one.set_code("4-purple-sausages")
    two.set_code("4-purple-sausages")
    two.send_message(b"hello")
    pump(server)
    two.close()
    one.close()
    pump(server)
    assert little.messages == [b"hello"]
    assert server.empty


@pytest.mark.parametrize("where", ["welcome", "code", "unverified_key", "verifier", "versions",
                                   "message", "closed"])  # fmt: skip
def test_any_call_from_any_callback(server: Server, where: str) -> None:
    """Inside each callback every method may be called, and the order of what is told stays."""
    order: list[str] = []

    def react(name: str, argument: Any) -> None:
        order.append(f"begin {name}")
        if name == where:
            one.send_message(f"from {name}".encode())
            one.send_message(b"and more")
            with pytest.raises(errors.OnlyOneCodeError):
                one.set_code("4-purple-sausages")
                one.allocate_code()
            if name in ("welcome", "code"):
                with pytest.raises(errors.NoKeyError):
                    one.derive_key("purpose")
            else:
                assert len(one.derive_key("purpose")) == 32
            assert one.serialize()["exchange"]
            if name == "message":
                one.close()
        order.append(f"end {name}")

    left, right = Delegate(react), Delegate()
    one, two = make(server, left), make(server, right)
    one.set_code("4-purple-sausages")
    two.set_code("4-purple-sausages")
    two.send_message(b"hello")
    pump(server)
    if where != "message":
        one.close()
    two.close()
    pump(server)
    assert right.got("message") == ([f"from {where}".encode(), b"and more"]
                                    if where != "closed" else [])  # fmt: skip
    assert left.got("closed") == ["happy"]
    assert left.names[-1] == "closed"
    # Never one callback inside another.
    assert all(a.replace("begin", "end") == b for a, b in zip(order[::2], order[1::2], strict=True))


def test_one_code_in_a_life(server: Server) -> None:
    """A second code of any kind is refused at once, and a malformed one does not count."""
    wormhole = make(server, object())
    for bad in ("4 purple", "purple", "", "4", "x-y", " 4-a-b ", "4-a b"):
        with pytest.raises(errors.KeyFormatError):
            wormhole.set_code(bad)
    wormhole.set_code("4-purple-sausages")
    with pytest.raises(errors.KeyFormatError):
        wormhole.set_code("4 purple")
    with pytest.raises(errors.OnlyOneCodeError):
        wormhole.set_code("4-purple-sausages")
    with pytest.raises(errors.OnlyOneCodeError):
        wormhole.allocate_code()
    other = make(server, object())
    other.allocate_code(3)
    with pytest.raises(errors.OnlyOneCodeError):
        other.set_code("4-purple-sausages")


def test_a_code_is_allocated(server: Server) -> None:
    """An allocated code has a nameplate of the server's and as many words as were asked for."""
    for options, words in [({}, 2), ({"length": 5}, 5), ({"code_length": 3}, 3)]:
        delegate = Delegate()
        wormhole = make(server, delegate)
        wormhole.allocate_code(**options)
        pump(server)
        [code] = delegate.got("code")
        assert len(code.split("-")) == words + 1


def test_wrong_arguments(server: Server) -> None:
    """Arguments of a wrong type or size are refused, and change nothing."""
    wormhole = make(server, object())
    before = wormhole.serialize()
    for call in (
        lambda: wormhole.set_code(b"4-purple-sausages"),
        lambda: wormhole.allocate_code("2"),
        lambda: wormhole.allocate_code(True),
        lambda: wormhole.send_message("text"),
        lambda: wormhole.send_message(None),
        lambda: wormhole.derive_key(b"purpose"),
        lambda: wormhole.derive_key("purpose", "32"),
    ):
        with pytest.raises(TypeError):
            call()
    for call in (
        lambda: wormhole.allocate_code(0),
        lambda: wormhole.allocate_code(101),
        lambda: wormhole.send_message(bytes(LONGEST_MESSAGE + 1)),
    ):
        with pytest.raises(ValueError, match=r"words|bytes"):
            call()
    with pytest.raises(errors.NoKeyError):
        wormhole.derive_key("purpose")
    assert wormhole.serialize() == before


@pytest.mark.parametrize(
    ("appid", "url", "options"),
    [
        (b"x", URL, {}),
        ("x", b"ws://host/v1", {}),
        ("x", "http://host/v1", {}),
        ("x", "ws://", {}),
        ("x", URL, {"delegate": None}),
        ("x", URL, {"versions": {"x": object()}}),
        ("x", URL, {"versions": {"x": float("nan")}}),
    ],
)
def test_create_refuses(appid: Any, url: Any, options: dict[str, Any]) -> None:
    """What cannot work is refused before anything begins."""
    with pytest.raises((TypeError, ValueError)):
        holdfast.create(appid, url, Clock(), **{"delegate": object(), **options})


def test_wrong_words(server: Server) -> None:
    """With different codes both sides hear so, by an error and by themselves."""
    left, right = Delegate(), Delegate()
    one, two = make(server, left), make(server, right)
    one.send_message(b"secret")
    one.set_code("4-purple-sausages")
    two.set_code("4-green-sausages")
    pump(server)
    for each in (left, right):
        assert [type(result) for result in each.got("closed")] == [errors.WrongPasswordError]
        assert each.got("message") == []
    assert server.empty
    assert "add 0" not in [frame for _, frame in server.log]


def test_lonely(server: Server) -> None:
    """Closed before anybody came, a wormhole ends lonely and leaves nothing behind."""
    delegate = Delegate()
    wormhole = make(server, delegate)
    wormhole.allocate_code()
    pump(server)
    wormhole.close()
    pump(server)
    [result] = delegate.got("closed")
    assert isinstance(result, errors.LonelyError)
    assert server.empty


def test_closed_before_any_connection(server: Server) -> None:
    """With no server to reach, a wormhole that has asked for nothing closes at once."""
    server.up = False
    delegate = Delegate()
    wormhole = make(server, delegate)
    wormhole.allocate_code()
    wormhole.close()
    assert [type(result) for result in delegate.got("closed")] == [errors.LonelyError]


def drive(stop: int, *, server: Server) -> tuple[int, list[Delegate], bool]:
    """Run an exchange in which one side is saved and loaded again after *stop* steps.

    Returns the steps it took, the delegates, and whether it was loaded again.
    """
    first, second, other = Delegate(), Delegate(), Delegate()
    two = make(server, other)
    one = make(server, first)
    one.set_code("4-purple-sausages")
    two.set_code("4-purple-sausages")
    one.send_message(b"from one")
    two.send_message(b"from two")
    steps, resumed = 0, False
    closing = ["one", "two"]
    while server.queue or closing:
        if steps == stop:
            document = one.serialize()
            one.abandon()
            one, resumed = load(server, document, second), True
        if server.queue:
            server.queue.popleft()()
        else:
            (one if closing.pop(0) == "one" else two).close()
        steps += 1
    return steps, [first, second, other], resumed


def test_saved_and_loaded_at_every_point() -> None:
    """Wherever it is saved and loaded again, both sides are told everything, each thing once."""
    total, _, resumed = drive(10_000, server=Server())
    assert not resumed
    for stop in range(total):
        server = Server()
        _, [first, second, other], resumed = drive(stop, server=server)
        assert resumed
        told = [each for each in first.names + second.names if each != "welcome"]
        assert told == ["code", *CALLBACKS[2:6], "closed"], f"at {stop}"
        assert first.got("message") + second.got("message") == [b"from two"]
        assert other.got("message") == [b"from one"]
        assert [*first.got("closed"), *second.got("closed"), *other.got("closed")] == ["happy"] * 2
        assert server.empty


def test_what_is_pending_is_told_once(server: Server) -> None:
    """Saved inside a callback, what the delegate was not told yet is told after loading, once."""
    documents: list[dict[str, Any]] = []

    def react(name: str, argument: Any) -> None:
        if name == "unverified_key":
            documents.append(one.serialize())
            raise KeyboardInterrupt  # the process ends here

    left, right = Delegate(react), Delegate()
    one, two = make(server, left), make(server, right)
    two.set_code("4-purple-sausages")
    two.send_message(b"hello")
    pump(server)
    one.set_code("4-purple-sausages")
    with pytest.raises(KeyboardInterrupt):
        pump(server)
    one.abandon()
    again = Delegate()
    one = load(server, documents[0], again)
    pump(server)
    assert again.names[:3] == ["verifier", "versions", "message"] or again.names[0] == "welcome"
    for name in ("verifier", "versions", "message"):
        assert len(again.got(name)) == 1
    assert "unverified_key" not in again.names
    assert "code" not in again.names


def test_resumed_once(server: Server) -> None:
    """A saved wormhole that is alive in this process cannot be loaded a second time."""
    wormhole = make(server, object())
    document = wormhole.serialize()
    with pytest.raises(errors.AlreadyResumed):
        load(server, document, object())
    wormhole.abandon()
    again = load(server, document, object())
    with pytest.raises(errors.AlreadyResumed):
        load(server, document, object())
    again.abandon()


def test_a_failed_beginning_can_be_repeated(server: Server) -> None:
    """When a delegate fails while it is told what was pending, loading can be tried again."""
    documents: list[dict[str, Any]] = []

    def keep(name: str, argument: Any) -> None:
        if name == "code":
            one.send_message(b"x")
            documents.append(checkpoint.save(URL, one.exchange, one._pending))

    def fail(name: str, argument: Any) -> None:
        raise ZeroDivisionError

    one = make(server, Delegate(keep))
    one.set_code("4-purple-sausages")
    one.abandon()
    documents[0]["pending"] = [{"type": "got-code", "code": "4-purple-sausages"}]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            load(server, documents[0], Delegate(fail))
    again = Delegate()
    load(server, documents[0], again).abandon()
    assert again.names == ["code"]


@pytest.mark.parametrize("data", [{}, None, [], {"version": 99}, {"version": 1}, "text"])
def test_documents_that_are_none(data: Any) -> None:
    """What is no saved wormhole is refused with a defined error, before anything begins."""
    with pytest.raises(errors.BadCheckpoint):
        holdfast.from_serialized(data, Clock(), object())
    with pytest.raises(TypeError):
        holdfast.from_serialized(data, Clock(), None)


class Store:
    """An application that saves itself and its wormhole with `Journal(save_checkpoint)`."""

    def __init__(self, server: Server, react: Callable[[str, Any], object]) -> None:
        self.saved: list[dict[str, Any]] = []
        self.full = False
        self.broken: list[Any] = []
        self.delegate = Delegate(react)
        journal = Journal(self.save)
        self.wormhole = make(server, self.delegate, journal, on_broken=self.broken.append)

    def save(self) -> None:
        if self.full:
            raise OSError("no space left")
        self.saved.append(self.wormhole.serialize())


@pytest.mark.parametrize("name", ["welcome", "code", "unverified_key", "verifier", "versions",
                                  "message"])  # fmt: skip
def test_an_exception_in_a_callback(server: Server, name: str) -> None:
    """When a callback raises, nothing of its event is saved or sent, nor of any later one."""
    seen: list[tuple[int, int]] = []

    def react(told: str, argument: Any) -> None:
        if told == name:
            store.wormhole.send_message(b"not to be sent")
            seen.append((len(store.saved), len(server.log)))
            raise ZeroDivisionError

    store = Store(server, react)
    other = Delegate()
    two = make(server, other)
    two.set_code("4-purple-sausages")
    two.send_message(b"hello")
    if name == "welcome":
        # Asked of nobody yet.
        pump(server)
    if name == "code":
        with pytest.raises(ZeroDivisionError):
            store.wormhole.set_code("4-purple-sausages")
    else:
        store.wormhole.set_code("4-purple-sausages")
    pump(server)
    [(saved, _)] = seen
    assert len(store.saved) == saved
    assert b"not to be sent" not in other.got("message")
    assert len(store.broken) == (name != "code")
    # What is silent stays silent.
    store.wormhole.send_message(b"later")
    store.wormhole.close()
    pump(server)
    assert len(store.saved) == saved
    # From the last checkpoint it goes on.
    if store.saved:
        again = Delegate()
        one = load(server, store.saved[-1], again)
        if one.exchange.code.state == "unset":
            one.set_code("4-purple-sausages")
        pump(server)
        assert again.got("message") == [b"hello"]


def test_a_checkpoint_that_cannot_be_saved(server: Server) -> None:
    """When saving fails nothing is sent, and the last checkpoint is good for another life."""
    store = Store(server, lambda name, argument: None)
    store.wormhole.set_code("4-purple-sausages")
    store.full = True
    pump(server)
    assert len(store.broken) == 1
    assert [frame for _, frame in server.log] == []
    again = Delegate()
    load(server, store.saved[-1], again)
    two = Delegate()
    make(server, two).set_code("4-purple-sausages")
    pump(server)
    assert two.got("versions") == [{}]


class Held:
    """A journal whose commits are held back until `commit`."""

    def __init__(self) -> None:
        self.depth = 0
        self.queued: list[Callable[[], object]] = []

    @contextmanager
    def process(self) -> Iterator[None]:
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        self.queued.append(lambda: fn(*args, **kwargs))

    def commit(self) -> None:
        queued, self.queued = self.queued, []
        for call in queued:
            call()


def test_nothing_is_sent_before_its_commit(server: Server) -> None:
    """While a commit is under way nothing of it leaves; afterwards all of it does, in order."""
    journal, left, right = Held(), Delegate(), Delegate()
    one, two = make(server, left, journal), make(server, right)
    one.set_code("4-purple-sausages")
    two.set_code("4-purple-sausages")
    one.send_message(b"1")
    one.send_message(b"2")
    before = 0
    while True:
        pump(server)
        ours = [frame for side, frame in server.log if side == one.exchange.side]
        assert len(ours) == before, "sent before its commit"
        if not journal.queued:
            break
        journal.commit()
        ours = [frame for side, frame in server.log if side == one.exchange.side]
        before = len(ours)
    assert right.got("message") == [b"1", b"2"]
    assert ours.index("add pake") < ours.index("add version") < ours.index("add 0")


def test_a_connection_that_breaks_before_the_commit(server: Server) -> None:
    """What was to go over a connection that is gone goes over the next one, once."""
    journal, right = Held(), Delegate()
    one, two = make(server, object(), journal), make(server, right)
    one.set_code("4-purple-sausages")
    two.set_code("4-purple-sausages")
    while True:
        pump(server)
        if right.got("verifier"):
            break
        journal.commit()
    one.send_message(b"hello")
    server.go_down()
    pump(server)
    server.come_up()
    for _ in range(10):
        journal.commit()
        pump(server)
    assert right.got("message") == [b"hello"]
    assert [frame for side, frame in server.log if side == one.exchange.side].count("add 0") == 1


def test_news_of_the_connection(server: Server) -> None:
    """Whoever wants to hears of connections, and may fail at that without harm."""
    heard: list[object] = []

    def hear(status: object) -> None:
        heard.append(status)
        raise ZeroDivisionError

    server.up = False
    delegate = Delegate()
    wormhole = make(server, delegate, on_status_update=hear)
    wormhole.allocate_code()
    pump(server)
    server.come_up()
    pump(server)
    server.go_down()
    pump(server)
    assert heard == [
        Unreachable(URL, "connection refused", 1.0),
        Connected(URL),
        Disconnected(URL, "cut"),
    ]
    assert len(delegate.got("code")) == 1
    test_reactor.flush_logged_errors(ZeroDivisionError)


def test_names_of_the_package() -> None:
    """Every public name is there, and one that is not says so."""
    for name in holdfast.__all__:
        assert getattr(holdfast, name) is not None
    with pytest.raises(AttributeError):
        holdfast.nonsense  # noqa: B018
