"""The frames of watching: what a server says to a client, and a client to our server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from holdfast.rendezvous.watch_frames import Offer, Wanted
from holdfast.rendezvous.watching import MOST_TOLD, HasCome, Returned, Watching
from holdfast.rendezvous.wire import Malformed
from holdfast.server import watch_frames
from tests.fuzz.target import SECRET, expect, target

TOLD: list[Any] = [
    {"type": "holdfast-watching", "revision": 3, "watches": 2},
    {"type": "holdfast-watched", "request": 0, "revision": 4, "missing": [[SECRET, "s"]]},
    {"type": "holdfast-arrived", "arrivals": [[1, SECRET, "s"], [2, "n", "s"]]},
    {"type": "holdfast-unwatched", "request": 1},
    {"type": "error", "error": "no", "orig": {"type": "holdfast-watch", "request": 0}},
]


def _told() -> Iterator[bytes]:
    yield "\n".join(map(json.dumps, TOLD)).encode()
    yield "\n".join(json.dumps(TOLD[n]) for n in (0, 2, 2, 4, 1)).encode()


@target(Malformed, seeds=_told, examples=100)
def watching(data: bytes) -> None:
    """Whatever a server says, each line a frame: what is kept of it is bounded, and said once."""
    ours = Watching("w" * 64)
    ours.watch([Wanted(SECRET, "s", 0), Wanted("n", "s", 1)])
    ours.unwatch([("o", "s")])
    ours.connected(Offer(10, 2))
    told = 0
    for line in data.decode(errors="replace").split("\n")[:50]:
        news = ours.hear(line)
        if isinstance(news, Returned):
            ours.noted()
        elif isinstance(news, HasCome):
            told += len(news.arrivals)
            ours.acknowledge(news.arrivals)
        for text in ours.to_say():
            expect(len(json.loads(text).get("mailboxes", [])) <= 2, "more than the server allows")
    expect(told <= 50 * MOST_TOLD, "more than could be told")
    expect(not list(ours.to_say()), "something is said twice")


SAID: list[Any] = [
    {"type": "holdfast-watcher", "watcher": SECRET * 6},
    {"type": "holdfast-watch", "request": 1, "mailboxes": [[SECRET, "s", 0], ["n", "s", 1]]},
    {"type": "holdfast-unwatch", "request": 2, "mailboxes": [[SECRET, "s"]]},
    {"type": "holdfast-acknowledge", "arrivals": [1, 2]},
]
_READERS = {
    "holdfast-watcher": lambda frame: [watch_frames.watcher(frame)],
    "holdfast-watch": lambda frame: [watch_frames.request(frame), *watch_frames.wanted(frame)],
    "holdfast-unwatch": lambda frame: [watch_frames.request(frame), *watch_frames.unwanted(frame)],
    "holdfast-acknowledge": watch_frames.arrivals,
}


@target(watch_frames.BadFrame, seeds=lambda: [json.dumps(f).encode() for f in SAID], examples=100)
def watch_requests(data: bytes) -> None:
    """What a client says to our server: something that SQLite can store, or words why not."""
    frame = watch_frames.read(data)
    if frame is None:
        return
    original = json.dumps(watch_frames.original(frame))
    expect(SECRET not in original and len(original) < 100, "an error repeats the frame")
    for value in _READERS[frame["type"]](frame):
        names = [value] if not isinstance(value, watch_frames.Wanted) else [value.mailbox]
        for name in names:
            str(name).encode()
