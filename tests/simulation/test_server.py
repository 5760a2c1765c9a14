"""The model of the mailbox server behaves as the real one does."""

import json
import math
from collections.abc import Iterator
from random import Random
from typing import Any

import attrs
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.simulation.real import HOST, PORT, RealServer
from tests.simulation.scripts import Stage, steps
from tests.simulation.server import Server

TABLES = ["nameplates", "nameplate_sides", "mailboxes", "mailbox_sides", "messages"]
WELCOME = {"your-address": {"port": PORT, "ipv4": HOST}}


class Least(Random):
    """Chooses the least nameplate, as the real server gives them in no order."""

    def choice(self, options: Any) -> Any:
        return min(options, key=int)


@define
class Both:
    """The model and the real server, side by side at one clock."""

    patch: pytest.MonkeyPatch
    clock: Clock = field(factory=Clock)
    real: RealServer = field(init=False)
    model: Server = field(init=False)
    stages: list[Stage] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clock.advance(1_700_000_000.25)
        self.real = RealServer(self.patch, Least(1), self.clock)
        self.model = Server(self.clock.seconds, Least(1), WELCOME)
        self.stages = [Stage(self.real), Stage(self.model)]

    def play(self, script: str, *, rows: bool = True) -> None:
        """Do the same to both, and compare after each step what they say and what they keep."""
        done = ""
        for who, what in steps(script):
            done += f"\n{who}: {what}"
            if who:
                for stage in self.stages:
                    stage.do(who, what)
            else:
                self._world(*what.split())
            real, model = (spelt(stage.news()) for stage in self.stages)
            assert model == real, f"The model differs after{done}"
            if rows:
                assert self.model_rows() == self.real_rows(), f"The model differs after{done}"

    def _world(self, what: str, seconds: str = "") -> None:
        if what == "wait":
            self.clock.pump([min(1.0, float(seconds))] * math.ceil(float(seconds)))
        else:
            self.real.restart(what == "amnesia")
            self.model.restart(what == "amnesia")

    def real_rows(self) -> dict[str, Any]:
        tables = {name: self.real.rows(name) for name in TABLES}
        return {
            "nameplates": {
                (row["app_id"], row["name"]): (
                    row["mailbox_id"],
                    {
                        side["side"]: bool(side["claimed"])
                        for side in tables["nameplate_sides"]
                        if side["nameplates_id"] == row["id"]
                    },
                )
                for row in tables["nameplates"]
            },
            "mailboxes": {
                row["id"]: (
                    row["app_id"],
                    row["updated"],
                    {
                        side["side"]: bool(side["opened"])
                        for side in tables["mailbox_sides"]
                        if side["mailbox_id"] == row["id"]
                    },
                )
                for row in tables["mailboxes"]
            },
            "messages": sorted(repr(tuple(row.values())) for row in tables["messages"]),
        }

    def model_rows(self) -> dict[str, Any]:
        tables = self.model.tables()
        messages = [message for stored in tables.messages.values() for message in stored]
        return {
            "nameplates": {key: (row.mailbox, row.sides) for key, row in tables.nameplates.items()},
            "mailboxes": {
                row.name: (row.app, row.updated, row.sides) for row in tables.mailboxes.values()
            },
            "messages": sorted(repr(attrs.astuple(message)) for message in messages),
        }


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


WHO = ["ann", "ann", "bob", "bob", "ann2", "eve"]
WHAT = [
    *("claim 4", "claim 4", "release 4", "release", "open @", "open @", "open box"),
    *("add pake 01", "add 0 02", "close", "close @", "close box", "allocate", "list"),
    *("ping 1", "gone", "gone", "vanish"),
]
WORLD = ["wait 100", "wait 300", "wait 350", "restart", "amnesia"]


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
    """Whatever two or three sides do, in whatever order."""
    with pytest.MonkeyPatch.context() as patch:
        both = Both(patch)
        try:
            both.play("\n".join(script))
        finally:
            both.real.close()
