"""Scripts for a mailbox server: who says what, in which order.

A line is `who: step, step, ...`, or `who says TEXT` for texts that no verb makes.
Who is a side; a number behind it makes that another connection of the same side. A connection is
made, and bound, when it is first mentioned, and made anew when it is mentioned after its end; one
called `raw` is not bound. The steps are the commands with what belongs to them, and

    hello          nothing: the connection is there
    gone           the client has gone, and the server knows
    vanish         the client has gone, and the server does not know

and for the world, as which no connection can be named,

    wait SECONDS   time passes
    back SECONDS   the clock is set back
    restart        the server is killed, and started again
    amnesia        the same, but its database is lost

`@` is the mailbox that anybody was told of last. What they were all told since the last such line,
but for welcomes and acks, is `= who kind detail, who kind detail, ...`; it is `= nothing` if that
is so.
"""

import json
from collections.abc import Iterator
from typing import Any

from attrs import define, field

APPID = "an-application"
KEYS = {
    "bind": ("appid", "side"),
    "list": (),
    "allocate": (),
    "claim": ("nameplate",),
    "release": ("nameplate",),
    "open": ("mailbox",),
    "add": ("phase", "body"),
    "close": ("mailbox", "mood"),
    "ping": ("ping",),
}
"""What the words behind a command are."""


@define(eq=False, repr=False)
class Stage:
    """A server, and all who talk to it."""

    server: Any
    appid: str = APPID
    lines: dict[str, Any] = field(factory=dict)
    """The connections whose clients are there."""
    heard: dict[str, list[Any]] = field(factory=dict)
    """What each connection there ever was is told."""
    mailbox: str = "@"
    frames: int = 0

    def do(self, who: str, what: str) -> None:
        """Have a client do a step, or say a text."""
        verb, *words = what.split() or [""]
        if verb == "vanish":
            self.lines.pop(who, None)
        elif verb == "gone":
            self.lines.pop(who, Idle).gone()
        elif verb in KEYS:
            self._say(who, verb, *words)
        elif verb != "hello":
            self._line(who).hear(what)
        else:
            self._line(who)

    def news(self) -> dict[str, list[Any]]:
        """What everybody was told since the last call."""
        news = {name: list(heard) for name, heard in self.heard.items() if heard}
        for heard in self.heard.values():
            heard.clear()
        return news

    def _line(self, who: str) -> Any:
        if who not in self.lines:
            name = f"{who}, connection {len(self.heard) + 1}"
            self.heard[name] = []
            line = self.server.connect(
                lambda text: self._told(name, text), lambda: self._broken(name, who, line)
            )
            self.lines[who] = line
            if who != "raw":
                self._say(who, "bind", self.appid, who.rstrip("0123456789"))
        return self.lines[who]

    def _say(self, who: str, verb: str, *words: str) -> None:
        line = self._line(who)
        self.frames += 1
        fields = dict(zip(KEYS[verb], words, strict=False))
        if fields.get("mailbox") == "@":
            fields["mailbox"] = self.mailbox
        line.hear(json.dumps({"type": verb, "id": f"{self.frames}", **fields}))

    def _told(self, name: str, text: str) -> None:
        answer = json.loads(text)
        self.mailbox = answer.get("mailbox", self.mailbox)
        self.heard[name].append(answer)

    def _broken(self, name: str, who: str, line: Any) -> None:
        self.heard[name].append("CUT")
        if self.lines.get(who) is line:
            del self.lines[who]


class Idle:
    """A connection that is not there."""

    @staticmethod
    def gone() -> None:
        """Nothing to do."""


def in_words(news: dict[str, list[Any]]) -> list[str]:
    """What everybody was told, without the details, and without welcomes and acks."""
    said = []
    for name, answers in news.items():
        who = name.partition(",")[0]
        for answer in answers:
            if answer == "CUT":
                said.append(f"{who} {answer}")
            elif answer["type"] not in ("welcome", "ack"):
                details = (answer.get(key) for key in ("error", "phase", "nameplate"))
                said.append(" ".join([who, answer["type"], *filter(None, map(_word, details))]))
    return said


def _word(value: object) -> str:
    return "" if value is None else str(value).replace(",", "")


def steps(script: str) -> Iterator[tuple[str, str]]:
    """The steps of a script, with who does them; nobody, if the world does."""
    for line in filter(None, (line.lstrip() for line in script.splitlines())):
        who, says, text = line.partition(" says ")
        if says:
            yield who, text
        elif line.startswith("= "):
            yield "=", line[2:]
        elif ": " in line:
            who, _, many = line.partition(": ")
            for step in many.split(", "):
                yield who, step
        else:
            yield "", line
