"""A flow that talks for long: a message costs the same at the end, and nothing of it is lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from holdfast import Flow, flow
from holdfast.cli.commands.doctor import check
from holdfast.testing import Peer
from holdfast_journal.upkeep.purging import Old, purge
from tests.flows.world import World

APPID = "example.com/ticker"
MANY = 100
"""More than are looked up at once."""


@flow("test-ticker", appid=APPID)
class Ticker(Flow):
    """Sends another kilobyte for every answer."""

    count: int
    said: int = field(default=0, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_got_versions(self, versions: dict[str, Any]) -> None:
        self.say()

    def wormhole_got_message(self, message: bytes) -> None:
        if message == b"end":
            self.finish()
        elif self.said < self.count:
            self.say()

    def say(self) -> None:
        self.said += 1
        self.wormhole.send_message(b"%1000d" % self.said)


@define
class Talk:
    """A flow and its peer, in a database that can be looked into."""

    file: Path
    world: World
    peer: Peer
    sizes: list[int] = field(factory=list)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def checkpoint(self) -> int:
        """Bytes that each commit writes again."""
        [(size,)] = self.query("SELECT length(checkpoint) FROM holdfast_flows")
        return int(size)

    def numbers(self) -> list[int]:
        found = self.query("SELECT number FROM holdfast_messages ORDER BY number")
        return [number for (number,) in found]

    def findings(self) -> list[str]:
        report = check(self.world.journal, pause=lambda _: None)
        return [f"{each.check}: {each.what}" for each in report.findings if not each.hint]

    def ours(self) -> dict[str, str]:
        """What the mailbox holds of the flow's, each phase once."""
        side = self.peer.wormhole.exchange.side
        [stored] = self.world.server.tables().messages.values()
        found = [each for each in stored if each.side != side]
        bodies = {each.phase: each.body for each in found}
        assert len(bodies) == len(found), "nothing is there twice"
        return bodies

    def lose_mailbox(self, *, dies: bool) -> None:
        """The server has forgotten all that was said when we come again."""
        if dies:
            self.world.crash()
        self.world.server.stop()
        self.world.advance(5)
        for stored in self.world.server.tables().messages.values():
            stored.clear()
        self.world.server.start()
        if dies:
            self.world.serve()


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    """One that has said all that it had to say."""
    file = tmp_path / "journal.db"
    world = World(f"sqlite:///{file}")
    world.add(Ticker(count=MANY))
    world.serve()
    sizes: list[int] = []

    def answer(peer: Peer, message: bytes) -> None:
        sizes.append(found.checkpoint())
        peer.send(b"ok")

    peer = world.peer(world.code(), on_message=answer)
    found = Talk(file, world, peer, sizes)
    world.until(lambda: len(peer.messages) == MANY)
    world.advance(2)
    yield found
    world.close()


def test_a_commit_writes_as_much_at_the_end_as_at_the_beginning(talk: Talk) -> None:
    """The checkpoint of the hundredth message is as large as that of the tenth."""
    assert max(talk.sizes[10:]) - talk.sizes[10] < 50, "the digits of a number or two"
    assert talk.numbers() == list(range(MANY))
    assert talk.findings() == []


def test_another_connection_writes_nothing(talk: Talk) -> None:
    """All that the mailbox shows again was heard before."""
    before = talk.world.row().seq
    talk.world.server.stop()
    talk.world.advance(5)
    talk.world.server.start()
    talk.world.advance(5)
    assert talk.world.row().seq == before


@pytest.mark.parametrize("dies", [False, True])
def test_a_server_that_has_forgotten_is_filled_again(talk: Talk, dies: bool) -> None:
    """From the rows, byte for byte, by this process or by the next; and the talk goes on."""
    before = talk.ours()
    talk.lose_mailbox(dies=dies)
    talk.world.until(lambda: len(talk.ours()) == len(before))
    assert talk.ours() == before
    talk.world.advance(5)
    assert talk.findings() == []
    talk.peer.send(b"end")
    talk.world.until(talk.world.finished)
    assert talk.world.status() == "done"
    assert talk.peer.messages == [b"%1000d" % number for number in range(1, MANY + 1)]


def test_killed_while_it_fills_the_server_again(talk: Talk) -> None:
    """The next process adds what is missing still, and nothing twice."""
    before = talk.ours()
    talk.lose_mailbox(dies=False)
    talk.world.dies_when = talk.world.loses_when = lambda: len(talk.ours()) > MANY // 2
    talk.world.until(lambda: False)
    talk.world.crash()
    assert len(talk.ours()) == MANY // 2 + 1
    talk.world.dies_when = talk.world.loses_when = lambda: False
    talk.world.serve()
    talk.world.until(lambda: len(talk.ours()) == len(before))
    assert talk.ours() == before


def test_nothing_is_left_of_a_talk_that_is_over(talk: Talk) -> None:
    """Nobody can ask for its messages any more."""
    talk.peer.send(b"end")
    talk.world.until(talk.world.finished)
    assert talk.numbers() == []
    assert talk.findings() == []


def test_a_talk_that_the_server_ends_is_sound(talk: Talk) -> None:
    """What was said is of no use any more, and its history leads there all the same."""
    for line in talk.world.server.lines:
        line.say("error", error="no more", orig={})
    while talk.world.status() != "closing":
        assert talk.world.network.step()
    assert talk.findings() == []
    talk.world.until(talk.world.finished)
    assert talk.world.status() == "failed"
    assert talk.findings() == []
    assert talk.numbers() == []


def test_a_second_attempt_has_messages_of_its_own(talk: Talk) -> None:
    """One that was set aside keeps its rows until then, and a retry begins with none."""
    talk.world.crash()
    talk.query("UPDATE holdfast_flows SET checkpoint = x'00'")
    talk.world.serve()
    talk.world.until(talk.world.finished)
    assert talk.world.status() == "damaged"
    talk.world.journal.retry("ann", None)
    assert talk.numbers() == []


def test_a_purge_takes_them_too(talk: Talk) -> None:
    """Of a flow that was set aside nothing stays that belongs to no flow."""
    talk.world.crash()
    talk.query("UPDATE holdfast_flows SET checkpoint = x'00'")
    talk.world.serve()
    talk.world.until(talk.world.finished)
    assert talk.numbers() == list(range(MANY))
    journal = talk.world.journal
    old = Old(before=talk.world.now() + 1, names=True)
    assert purge(journal._database, journal._registration.alive, old).flows == 1
    assert talk.numbers() == []
    assert talk.findings() == []


DAMAGE = {
    "DELETE FROM holdfast_messages WHERE number = 7": (
        "replay: its history does not lead to its checkpoint (messages)"
    ),
    "UPDATE holdfast_messages SET number = number + 1000 WHERE number = 7": (
        "seal: the message 1007 that it sent does not open: altered or moved"
    ),
    "UPDATE holdfast_messages SET body = 'text' WHERE number = 7": (
        "row: 1 of its rows among the messages cannot be what was written"
    ),
}


def test_the_doctor_looks_at_them(talk: Talk) -> None:
    """Whatever would keep a server from being filled again is found before that."""
    talk.query("CREATE TABLE kept AS SELECT * FROM holdfast_messages")
    for damage, finding in DAMAGE.items():
        assert talk.findings() == []
        talk.query(damage)
        assert finding in talk.findings()
        talk.query("DELETE FROM holdfast_messages")
        talk.query("INSERT INTO holdfast_messages SELECT * FROM kept")


def test_a_message_that_is_gone_is_no_reason_to_send_others(talk: Talk) -> None:
    """The flow says that it is in trouble, and adds nothing to the mailbox under that number."""
    talk.query("DELETE FROM holdfast_messages WHERE number = 7")
    talk.lose_mailbox(dies=False)
    talk.world.until(lambda: talk.world.row().failures or talk.world.finished())
    assert "7" not in talk.ours()
