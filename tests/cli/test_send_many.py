"""``holdfast send --to 5``: one thing for several people, each under a code of their own."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from holdfast.cli.errand import BATCH
from holdfast.cli.failure import Unfinished
from holdfast.cli.many import Many, people_in
from holdfast.operating.ending import Ending
from holdfast.operating.kept import Kept
from holdfast.transfer import APPID
from tests.cli.conftest import mistyped
from tests.cli.journals import failed, run
from tests.cli.test_transfers import told
from tests.harness.peers import StockReceivers
from tests.harness.process import BIN, Child, Holdfast


def codes_of(child: Child, people: int, first: int = 1) -> list[str]:
    """Wait for the list of codes."""
    return [
        str(child.wait_for(rf"^{number}\t(\d+-\S+)$")[1]) for number in range(first, people + 1)
    ]


def test_standard_input_through_a_kill(
    home: Holdfast, stock: StockReceivers, tmp_path: Path
) -> None:
    """Each has a code of their own, which stays; what was sent is on the disk once, then never."""
    content = os.urandom(150_000).hex()
    spool = tmp_path / "holdfast.db.spool"
    command = ("send", "-", "--name", "photo.jpg", "--to", "3")

    def start() -> Child:
        child = Child([BIN / "holdfast", *command], env=home.env(), stdin=subprocess.PIPE)
        child.write(content)
        child.end_input()
        return child

    with start() as child:
        child.wait_for("^each of them collects with: wormhole --relay-url", stream="err")
        codes = codes_of(child, 3)
        assert len(set(codes)) == 3
        assert {each.stat().st_ino for each in spool.iterdir()} == {
            next(spool.iterdir()).stat().st_ino
        }
        stock.receive(codes[0], out=tmp_path / "first")
        child.wait_for("^1: has it$", stream="err")
        child.kill9()
    with start() as child:
        child.wait_for("^holdfast: continuing with the codes of 2 of 3$", stream="err")
        assert codes_of(child, 3, first=2) == codes[1:]
        for number in (1, 2):
            stock.receive(codes[number], out=tmp_path / f"got-{number}")
        done = child.wait()
    assert done.status == 0, done
    assert done.err.endswith("sent: all 3 have it\n")
    assert "1: has it\n" in done.err
    assert "2: has it\n" in done.err
    assert stock.wait(codes[0]).ok
    for place in ("first", "got-1", "got-2"):
        assert (tmp_path / place).read_text() == content
    assert list(spool.iterdir()) == []
    with start() as child:
        again = child.wait()
    assert (again.status, again.out) == (0, "")
    assert again.err.endswith("all 3 have standard input; --again sends it once more\n")
    rows = json.loads(home.run("status", "--json").out)
    assert [(row["batch"], row["status"]) for row in rows] == [(BATCH, "done")] * 3


def test_who_does_not_get_it(home: Holdfast, stock: StockReceivers) -> None:
    """A wrong code ends that of one person, and the command's status says that not all have it."""
    command = ("send", "--text", "hello", "--to", "2")
    with home.start(*command) as child:
        first, second = codes_of(child, 2)
        stock.wait(mistyped(stock, first))
        child.wait_for("^1: wrong code", stream="err")
        assert stock.wait(stock.receive(second)).text == "hello"
        done = child.wait()
    assert done.status == 1
    assert done.err.endswith("1 of 2 do not have it; start again for new codes\n")
    with home.start(*command) as child:
        child.wait_for("^2: has it", stream="err")
        (new,) = codes_of(child, 1)
        assert new != first
        child.interrupt()
        assert child.wait().status == 130


@pytest.mark.parametrize(
    ("to", "people"), [(None, 1), ("ann", 1), ("5 friends", 1), ("1", 1), ("07", 7), ("100", 100)]
)
def test_for_how_many(to: str | None, people: int) -> None:
    assert people_in(to) == people


def test_what_is_refused(tmp_path: Path) -> None:
    """Nothing is started: nobody, too many, or what is for one person alone."""
    database = tmp_path / "none.db"
    for number in ("0", "101", "9" * 5_000):
        failed(run(database, "send", "--text", "x", "--to", number), "--to: 1 to 100 people")
    code = ("--code", "7-crossover-clockwork")
    failed(run(database, "send", "--text", "x", "--to", "5", *code), "--code: this is for one")
    assert not database.exists()


def test_how_far_each_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each thing that happens to somebody, once; and on a terminal one for all."""
    many = Many({"a": 1, "b": 2, "c": 4}, 4, Kept("wss://x/v1", APPID, None))
    row = told(route="->tcp:192.0.2.1:4711", size=1000, moved=450, rate=100)
    flows = [evolve(row, name=name) for name in "ab"]
    assert not many.watch(flows)
    assert not many.watch(flows)
    assert many._now() == "1 of 4 have it  200 bytes/s  1: 45 %  2: 45 %"
    waits = evolve(flows[0], published={**(row.published or {}), "waiting": "the disk\x1b"})
    done = evolve(flows[1], status="done", finished_at=1.0, published=None)
    assert not many.watch([waits, done])
    assert many._now() == "2 of 4 have it  100 bytes/s  1: 45 %"
    failed = evolve(row, name="c", status="failed", finished_at=1.0, published={"reason": "no"})
    assert many.watch([evolve(done, name="a"), failed])
    assert capsys.readouterr().err.splitlines() == [
        "1: connected directly to 192.0.2.1:4711",
        "2: connected directly to 192.0.2.1:4711",
        "1: waits: the disk\\x1b",
        "2: has it",
        "1: has it",
        "4: failed (no)",
    ]
    with pytest.raises(Unfinished, match=r"^1 of 4 do not have it; start again for new codes$"):
        many.finish(Ending.DONE)
