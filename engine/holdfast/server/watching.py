"""One connection's part in watching: its frames, and the answers (watching.md, "Frames")."""

import time
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from holdfast.server import watch_frames
from holdfast.server.watches import Says, TooMany, Watcher, Watches


@define(eq=False)
class Watching:
    """What a connection that is bound to `app` says of watching."""

    watches: Watches
    app: str
    say: Says = field(repr=False)
    _watcher: Watcher | None = None

    def hear(self, frame: Mapping[str, Any]) -> None:
        """Do what `frame` asks, or say why not. Raises sqlite3.Error."""
        try:
            if frame["type"] == "holdfast-watcher":
                self._begin(frame)
            elif self._watcher is None:
                raise watch_frames.BadFrame("must say who watches first")
            else:
                self._do(self._watcher, frame)
        except (watch_frames.BadFrame, TooMany) as error:
            self.say("error", error=str(error), orig=watch_frames.original(frame))

    def leave(self) -> None:
        """The connection has gone."""
        if self._watcher is not None:
            self.watches.leave(self._watcher)

    def _begin(self, frame: Mapping[str, Any]) -> None:
        name = watch_frames.watcher(frame)
        if self._watcher is not None:
            raise watch_frames.BadFrame("only one watcher per connection")
        self._watcher = self.watches.begin(self.app, name, self.say, time.time())

    def _do(self, watcher: Watcher, frame: Mapping[str, Any]) -> None:
        if frame["type"] == "holdfast-acknowledge":
            self.watches.acknowledge(watcher, watch_frames.arrivals(frame))
            return
        number = watch_frames.request(frame)
        if frame["type"] == "holdfast-unwatch":
            self.watches.unwatch(watcher, watch_frames.unwanted(frame))
            self.say("holdfast-unwatched", request=number)
            return
        revision, missing = self.watches.watch(watcher, watch_frames.wanted(frame), time.time())
        self.say("holdfast-watched", request=number, revision=revision, missing=missing)
