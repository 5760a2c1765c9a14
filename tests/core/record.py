"""Record what must be readable for ever: `python -m tests.core.record` writes what is missing.

Nothing that was recorded is ever written again: a fixture that does not load any more is a release
that leaves its users' wormholes behind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict

from holdfast.core import checkpoint
from holdfast.core import events as ev
from holdfast.core.codec import from_json, to_json
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Frame
from holdfast.core.wanted import Said, wanted
from holdfast.rendezvous.wire import Pong, read
from tests.core.clients import STAGES, Client

CHECKPOINTS = Path(__file__).parent / "checkpoints"
HISTORIES = Path(__file__).parent / "histories"
RELAY = "ws://relay.example.com:4000/v1"


def frames_as_json(frames: tuple[Frame, ...]) -> list[Any]:
    """Frames as JSON values, as they were before `list` could ask about one nameplate alone."""
    known = lambda attribute, _: attribute.name != "only"  # noqa: E731 - attrs calls it
    return [[type(frame).__name__, asdict(frame, filter=known)] for frame in frames]


class Recorder(Client):
    """A client that remembers everything that happened to it, in JSON values."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.entries: list[dict[str, Any]] = []

    def connect(self) -> None:
        self.entries.append({"connection": True})
        super().connect()

    def hear(self, text: str) -> None:
        if isinstance(read(text), Pong):
            self.entries.append({"pong": True})
        super().hear(text)

    def happen(self, event: ev.Event) -> Any:
        notices = super().happen(event)
        seed = "" if notices is None else self.happened[-1][1].hex()
        self.entries.append({"event": to_json(event), "seed": seed})
        return notices


def replay(exchange: Exchange, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let it all happen again: the notices and frames of each entry."""
    said: Said | None = None
    outcome: list[dict[str, Any]] = []
    for entry in entries:
        notices: Any = ()
        if "connection" in entry:
            said = None
        elif "pong" in entry:
            assert said is not None
            said.caught_up = True
        else:
            event = from_json(entry["event"])
            if isinstance(event, ev.Welcomed):
                said = Said()
            if isinstance(event, ev.ConnectionLost):
                said = None
            if isinstance(event, ev.MessageArrived) and said is not None:
                said.hear(event, exchange)
            notices = exchange.apply(event, bytes.fromhex(entry["seed"]) or bytes(32))
        frames: tuple[Frame, ...] = ()
        if said is not None:
            frames = wanted(exchange, said)
            exchange.saying(frames)
            for frame in frames:
                said.note(frame)
        told = None if notices is None else [to_json(notice) for notice in notices]
        outcome.append({"told": told, "said": frames_as_json(frames)})
    return outcome


def _write(path: Path, value: object) -> None:
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value, indent=1) + "\n")


def _record_checkpoints() -> None:
    for name, stage in STAGES.items():
        exchange = stage().us.exchange
        document = checkpoint.save(RELAY, exchange, ())
        frames = frames_as_json(wanted(exchange, Said()))
        path = CHECKPOINTS / f"version-{checkpoint.VERSION}-{name.replace('_', '-')}.json"
        _write(path, {"document": document, "wanted": frames})


def _record_histories() -> None:
    from tests.core.test_faults import Play, cut

    for name, wrong in (("two-messages-and-a-cut", False), ("wrong-code", True)):
        play = Play(wrong=False)
        recorder = Recorder("alice", play.server)
        play.clients = (recorder, play.clients[1])
        play.wrong = wrong
        begin = recorder.exchange.serialize()
        recorder.happen(ev.AllocateCode(2))
        play.run(14, cut, 0)
        again = Exchange.from_serialized(json.loads(json.dumps(begin)))
        outcome = replay(again, recorder.entries)
        _write(
            HISTORIES / f"{name}.json",
            {
                "begin": begin,
                "entries": [
                    {**entry, **then} for entry, then in zip(recorder.entries, outcome, strict=True)
                ],
                "end": recorder.exchange.serialize(),
            },
        )


if __name__ == "__main__":
    _record_checkpoints()
    _record_histories()
