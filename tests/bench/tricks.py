"""Each trick that makes the code harder to read, beside its plain form, and what that would cost.

    make bench ONLY=tricks

Only to the terminal: `docs/micro-speed.md` has the figures, and names the benchmark of the table
that would notice if the trick went. Both forms take turns in one process; a figure is the median of
seven rounds, in CPU time, or the bytes that stay.
"""

import gc
import json
import secrets
import time
import tracemalloc
from collections import deque
from collections.abc import Callable
from json.encoder import encode_basestring
from statistics import median

from attrs import define, frozen

from holdfast.core.exchange import Exchange
from holdfast.flows.document import Checkpoint
from holdfast_journal.keys.sealer import Sealer
from holdfast_journal.keys.sealing import seal

ROUNDS = 7


@frozen
class Trick:
    """Two ways to do the same, and the unit of what each costs."""

    name: str
    trick: Callable[[], float]
    plain: Callable[[], float]
    unit: str = "us"


def timed(function: Callable[[], object], count: int) -> Callable[[], float]:
    """Microseconds of CPU time for one call."""

    def run() -> float:
        began = time.process_time()
        for _ in range(count):
            function()
        return (time.process_time() - began) / count * 1e6

    return run


def kept(make: Callable[[], object], count: int = 2000) -> Callable[[], float]:
    """Bytes that stay for each thing that is made."""

    def run() -> float:
        gc.collect()
        tracemalloc.start()
        things = [make() for _ in range(count)]
        size = tracemalloc.get_traced_memory()[0] / count
        tracemalloc.stop()
        del things
        return size

    return run


def checkpoint() -> Trick:
    """A flow's checkpoint: the wormhole's document is put in as the text that it is already."""
    document = Exchange("example.com/bench", "0123456789").serialize()
    text = json.dumps(document)
    flow = Checkpoint(data={"name": "ann", "secret": "s" * 32}, wormhole=document)
    return Trick(
        "checkpoint as text",
        timed(lambda: flow.to_bytes(text), 4000),
        timed(flow.to_bytes, 4000),
    )


def said() -> Trick:
    """What an entry says: a JSON list of one string, by the encoder of strings alone."""
    words = ("server: add 1",)
    return Trick(
        "list of words",
        timed(lambda: f"[{', '.join(map(encode_basestring, words))}]", 40000),
        timed(lambda: json.dumps(words, ensure_ascii=False), 40000),
    )


def sealing() -> Trick:
    """A sealed event of 300 bytes: the key that XChaCha20 derives is derived once a flow."""
    key, event = secrets.token_bytes(32), bytes(300)
    sealer = Sealer("flow", key)
    return Trick(
        "sealing",
        timed(lambda: sealer.seal("event", 7, event), 8000),
        timed(lambda: seal(key, "flow", "event", 7, event), 8000),
    )


def machines() -> Trick:
    """A part of a wormhole that waits: its machine is dropped once its state is known."""

    def with_machines() -> Exchange:
        exchange = Exchange("example.com/bench", secrets.token_hex(5))
        for part in (exchange.lifecycle, exchange.code, exchange.nameplate, exchange.mailbox):
            part.change()
        return exchange

    def without() -> Exchange:
        exchange = with_machines()
        for part in (exchange.lifecycle, exchange.code, exchange.nameplate, exchange.mailbox):
            _ = part.state
        return exchange

    return Trick("four machines dropped", kept(without), kept(with_machines), "bytes")


def queues() -> Trick:
    """The two queues of an observable thing: none as long as they are empty."""
    return Trick(
        "no empty deques", kept(lambda: [None, None]), kept(lambda: [deque(), deque()]), "bytes"
    )


@define(eq=False)
class _Loose:
    seq: int
    at: float
    kind: str
    heard: str


@frozen(eq=False)
class _Frozen:
    seq: int
    at: float
    kind: str
    heard: str


def classes() -> Trick:
    """One entry of a commit: a class that is not frozen."""
    return Trick(
        "classes not frozen",
        timed(lambda: _Loose(1, 2.0, "message", "peer: 1"), 40000),
        timed(lambda: _Frozen(1, 2.0, "message", "peer: 1"), 40000),
    )


def collecting() -> Trick:
    """Making 300 wormholes that stay, with the garbage collector off, and on."""

    def load() -> float:
        began = time.process_time()
        kept_ = [Exchange("example.com/bench", secrets.token_hex(5)) for _ in range(300)]
        taken = (time.process_time() - began) / len(kept_) * 1e6
        del kept_
        return taken

    def off() -> float:
        gc.disable()
        try:
            return load()
        finally:
            gc.enable()

    return Trick("no collecting meanwhile", off, load)


TRICKS = (checkpoint, said, sealing, machines, queues, classes, collecting)


def tell(say: Callable[[str], object]) -> None:
    """Measure all, and say each in a line."""
    for make in TRICKS:
        trick = make()
        found: dict[str, list[float]] = {"trick": [], "plain": []}
        for _ in range(ROUNDS):
            found["trick"].append(trick.trick())
            found["plain"].append(trick.plain())
        ours, plain = median(found["trick"]), median(found["plain"])
        say(
            f"{trick.name}: {ours:.3g} {trick.unit}, plain {plain:.3g} {trick.unit},"
            f" {plain / ours:.2f} times"
        )
