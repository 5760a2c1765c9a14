"""The model of the mailbox server behaves as the real one does."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from holdfast.testing import MailboxServer as Model
from holdfast.testing.server.tables import Tables
from tests.harness.server import MailboxServer
from tests.simulation.conformance.real import HOST, PORT, RealServer
from tests.simulation.conformance.scenes import SCENES
from tests.simulation.conformance.scripts import APPID, Stage, in_words, steps
from tests.simulation.conformance.sockets import SocketServer

pytestmark = pytest.mark.long

WELCOME = {"your-address": {"port": PORT, "ipv4": HOST}}


class Least(Random):
    """Chooses the least nameplate, as the real server gives them in no order."""

    def choice(self, options: Any) -> Any:
        return min(options, key=int)


@define(eq=False, repr=False)
class Both:
    """The model and the real server, side by side at one clock."""

    patch: pytest.MonkeyPatch
    clock: Clock = field(factory=Clock)
    real: RealServer = field(init=False)
    model: Model = field(init=False)
    stages: list[Stage] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clock.advance(1_700_000_000.25)
        self.real = RealServer(self.patch, Least(1), self.clock)
        self.model = Model(self.clock.seconds, Least(1), WELCOME)
        self.stages = [Stage(self.real), Stage(self.model)]

    def play(self, script: str) -> None:
        """Do the same to both, and compare after each step what they say and what they keep."""
        done, said = "", []
        for who, what in steps(script):
            if who == "=":
                assert (", ".join(said) or "nothing") == what, f"after{done}"
                said.clear()
                continue
            done += f"\n{who}: {what}"
            if who:
                for stage in self.stages:
                    stage.do(who, what)
            else:
                self._world(*what.split())
            real, model = (stage.news() for stage in self.stages)
            same(spelt(model), spelt(real), done)
            same(kept(self.model.tables()), self.real.kept(), done)
            said += in_words(real)

    def _world(self, what: str, seconds: str = "") -> None:
        if what == "back":
            self.clock.rightNow -= float(seconds)
        elif what == "wait":
            end = self.clock.seconds() + float(seconds)
            while (due := min(call.getTime() for call in self.clock.getDelayedCalls())) < end:
                self.clock.advance(due - self.clock.seconds())
            self.clock.advance(end - self.clock.seconds())
        else:
            assert what in ("restart", "amnesia"), what
            self.real.restart(what == "amnesia")
            self.model.restart(forget=what == "amnesia")


def kept(tables: Tables) -> dict[str, Any]:
    """What the model keeps, as `RealServer.kept` says it."""
    messages = [message for stored in tables.messages.values() for message in stored]
    return {
        "nameplates": {key: (row.mailbox, row.sides) for key, row in tables.nameplates.items()},
        "mailboxes": {
            row.name: (row.app, row.updated, row.sides) for row in tables.mailboxes.values()
        },
        "messages": sorted(repr(attrs.astuple(message)) for message in messages),
    }


def same(model: dict[str, Any], real: dict[str, Any], done: str) -> None:
    """Fail if they differ, in a few words: pytest looks for hours at how two long texts differ."""
    if model != real:
        lines = [line[:200] for line in done.splitlines()]
        lines += [f"the real server: {real!s:.2000}", f"the model:       {model!s:.2000}"]
        raise AssertionError("\n".join(lines))


def spelt(news: dict[str, list[Any]]) -> dict[str, list[str]]:
    """With 1 and 1.0 told apart, which are equal, and one NaN not from the next."""
    return {
        name: [json.dumps(each, sort_keys=True) for each in all_] for name, all_ in news.items()
    }


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    both = Both(monkeypatch)
    yield both
    both.real.close()


COMMANDS = [
    *("list", "allocate", "claim 4", "release 4", "release", "open box", "add pake 01"),
    *("close box happy", "close", "ping 7", "bind app ann", "claim", "open", "add", "claim 5"),
]


@pytest.mark.parametrize("first", COMMANDS)
def test_two_commands(both: Both, first: str) -> None:
    """Each command before each other, on one connection and on two of the same side."""
    for second in COMMANDS:
        both.play(f"""
            ann: {first}, {second}, gone
            ann: {first}
            ann2: {second}
            amnesia
        """)


@pytest.mark.parametrize("name", SCENES)
def test_scene(both: Both, name: str) -> None:
    """The model and the real server both play the scene as it is written."""
    both.play(SCENES[name])


WHO = ["ann", "ann", "ann2", "bob", "bob", "bob2", "eve", "raw"]
WHAT = [
    *("claim 1", "claim 1", "release 1", "release", "open @", "open @", "open @", "open box"),
    *("add pake 01", "add 0 02", "close", "close @", "close box", "allocate", "claim 2", "list"),
    *("ping 1", "gone", "gone", "gone", "vanish", "hello", "bind an-application raw"),
]
WORLD = ["wait 100", "wait 300", "wait 350", "wait 0.5", "back 0.5", "restart", "amnesia"]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    script=st.lists(
        st.one_of(
            *[st.builds("{}: {}".format, st.sampled_from(WHO), st.sampled_from(WHAT))] * 6,
            st.sampled_from(WORLD),
        ),
        max_size=40,
    )
)
def test_any_script(script: list[str]) -> None:
    """Whatever three or four sides do, in whatever order."""
    with pytest.MonkeyPatch.context() as patch:
        both = Both(patch)
        try:
            both.play("\n".join(script))
        finally:
            both.real.close()


TEXTS = [
    *("", "nonsense", "[]", "7", "null", '"ping"', "\ufeff{}", "{}", '{"id": "1"}'),
    *('{"type": null}', '{"type": 7}', '{"type": ["ping"]}', '{"type": "Ping", "id": 7}'),
    '{"type": "ping", "ping": ' + 50_000 * "[" + 50_000 * "]" + "}",
    '{"type": "ping", "ping": ' + 5_000 * "1" + "}",
    '{"type": "ping", "type": "list", "id": {"a": [null, 1e999]}}',
    '{"type": "close", "mailbox": "box", "mood": {}}',
    '{"type": "close", "mailbox": "box", "mood": 7}',
    '{"type": "close", "mailbox": "box", "mood": "\\ud800"}',
    '{"type": "close", "mood": "happy"}',
    '{"type": "add", "phase": "0"}',
    '{"type": "add", "body": "00"}',
]
VALUES = [
    *("null", "true", "7", "1.5", "-0.0", "1e300", "1e-7", "123456789.123456789", "1e16", "1e15"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "NaN", "-Infinity"),
    *('""', '"x"', '"4\\n"', '"4 "', '"\u0664"', '"\\ud800"', '"a\\u0000b"', "{}", "[]", '["4"]'),
    *('"' + 40 * "4" + '"', '"' + 41 * "4" + '"'),
]
PLACES = [
    '{"type": "ping", "ping": %s}',
    '{"type": "bind", "appid": %s, "side": "ann"}',
    '{"type": "bind", "appid": "app", "side": "ann", "client_version": %s}',
    '{"type": "claim", "nameplate": %s}',
    '{"type": "release", "nameplate": %s}',
    '{"type": "open", "mailbox": %s}',
    '{"type": "close", "mailbox": %s}',
    '{"type": "add", "phase": %s, "body": "00"}',
    '{"type": "add", "phase": "0", "body": %s, "id": "7"}',
    '{"type": "add", "phase": "0", "body": "00", "id": %s}',
]


def says_everywhere(text: str) -> str:
    """Somebody who is new says it, somebody who is bound, and somebody who is in a mailbox."""
    return f"""
        raw says {text}
        raw: hello
        ann says {text}
        bob: open box, claim 4
        bob says {text}
        bob2: open box
        amnesia
    """


def test_texts(both: Both) -> None:
    """What is no JSON, no command, or lacks something."""
    for text in TEXTS:
        both.play(says_everywhere(text))


@pytest.mark.parametrize("place", PLACES)
def test_values(both: Both, place: str) -> None:
    """Values of all types in all places."""
    for value in VALUES:
        both.play(says_everywhere(place % value))


@pytest.mark.parametrize("part", ["appid", "side"])
def test_strange_names(both: Both, part: str) -> None:
    """Applications and sides of all types, with each command; what is half done then stays."""
    bind = json.dumps({"type": "bind", "appid": APPID, "side": "bob"} | {part: "?"})
    for value in VALUES:
        both.play("ann: open box, claim 5, gone")
        for command in COMMANDS:
            both.play(f"""
                raw says {bind.replace('"?"', value)}
                raw: {command}, gone
            """)
        both.play("restart")
        both.play("amnesia")


def test_nameplates_of_many_digits(both: Both) -> None:
    """When all of one to three digits are taken, one of four to six is allocated, by chance."""
    for stage in both.stages:
        for number in range(1, 1000):
            stage.do(f"ann{number}", f"claim {number}")
    both.play("bob: allocate\nbob2: allocate\nann7: release\nbob3: allocate")


def over_sockets() -> Iterator[str]:
    """The scenes that need no time, and no nameplate that the server chooses."""
    for name, scene in SCENES.items():
        if not any(word in scene for word in ("wait", "back", "amnesia", "allocate")):
            yield name


def test_sockets(tmp_path: Path) -> None:
    """Over sockets too the server does what the model does, cuts and SIGKILL included."""
    scenes = [SCENES[name] for name in over_sockets()]
    scenes += [f"ann says {text}\nbob: open box, claim 4\nbob says {text}" for text in TEXTS[:6]]
    with MailboxServer(tmp_path) as process:
        real = SocketServer(process)
        for number, scene in enumerate(scenes):
            model = Model(lambda: 0.0)
            stages = [Stage(server, appid=f"{number}") for server in (model, real)]
            # A mailbox belongs to one application.
            for who, what in steps(scene.replace("box", f"box{number}")):
                if who not in ("", "="):
                    for stage in stages:
                        stage.do(who, what)
                elif what == "restart":
                    for server in (model, real):
                        server.restart()
                model_said, real_said = map(without_chance, stages)
                same(model_said, real_said, f"{scene}\n{who}: {what}")
            real.close()


def without_chance(stage: Stage) -> dict[str, list[str]]:
    """What is new, without times, welcomes, and names that the server chose."""
    news = {}
    for who, answers in stage.news().items():
        kept = [answer for answer in answers if answer == "CUT" or answer["type"] != "welcome"]
        for answer in kept:
            if answer != "CUT":
                del answer["server_tx"]
                answer.pop("server_rx", None)
        texts = [text.replace(stage.mailbox, "@") for text in spelt({who: kept})[who]]
        if texts:
            news[who] = texts
    return news
