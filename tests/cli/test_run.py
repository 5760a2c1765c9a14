"""``holdfast run``: a service that takes up whatever is there, alone or beside others."""

import json
from pathlib import Path

from holdfast.flows.document import new_flow
from holdfast.flows.provision import Provision
from holdfast.flows.text import APPID
from tests.cli.conftest import mistyped
from tests.cli.journals import open_at, run
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.waiting import until


def add(home: Holdfast, *names: str) -> None:
    """Start flows, as another process would that does not run them."""
    journal = open_at(Path(str(home.db)))
    try:
        flows = [
            new_flow(
                name,
                Provision(name=name, secret=f"secret of {name}"),
                relay=str(home.relay),
                appid=APPID,
            )
            for name in names
        ]
        journal.start_flows("default", flows)
    finally:
        journal.close()


def codes(home: Holdfast) -> dict[str, str]:
    shown = json.loads(run(Path(str(home.db)), "status", "--json").stdout)
    return {each["name"]: each["code"] for each in shown if each["code"]}


def code(home: Holdfast, name: str) -> str:
    return until(lambda: codes(home).get(name), f"the code of {name}")


def test_a_service(home: Holdfast, stock: StockReceivers) -> None:
    """It serves what is there and what other processes start or retry, and ends on SIGTERM."""
    add(home, "ann")
    with home.start("run") as child:
        child.wait_for(r"^serving /.*holdfast\.db \(1 flow: 1 new\)$")
        ann = code(home, "ann")
        assert stock.wait(stock.receive(ann)).text == "secret of ann"
        child.wait_for(r"default/ann done$")
        # Started by somebody else.
        add(home, "bob")
        child.wait_for(r"default/bob waiting$")
        first = code(home, "bob")
        wrong = mistyped(stock, first)
        assert stock.wait(wrong).error == "WrongPasswordError"
        child.wait_for(r"default/bob scared \(the other side used a different code\)$")
        # Tried again by somebody else.
        assert "gets a new code" in run(Path(str(home.db)), "retry", "bob").stdout
        second = code(home, "bob")
        assert second != first
        assert stock.wait(stock.receive(second)).text == "secret of bob"
        child.wait_for(r"default/bob done$")
        child.terminate()
        ended = child.wait()
    assert ended.status == 0
    assert ended.out.endswith("stopped; nothing is lost\n")
    assert ended.err == ""
    assert ann not in ended.out
    assert "secret of" not in ended.out


def test_two_at_once(home: Holdfast, stock: StockReceivers) -> None:
    """Two processes on one database never run the same flow; each goes on with a dead one's."""
    add(home)
    with home.start("run") as one, home.start("run") as two:
        for child in (one, two):
            child.wait_for("^serving")
        for number in range(6):
            add(home, f"person {number}", f"other {number}")
        given = until(lambda: (all_ := codes(home)) and len(all_) == 12 and all_, "all codes")
        journal = open_at(Path(str(home.db)))
        try:
            for row in journal.overview():
                workers = {entry.worker for entry in journal.history(row.id)}
                assert workers == {row.owner}, "one worker made all entries"
            one.kill9()
            for name, each in given.items():
                stock.receive(each, f"{name} of two")
            for name in given:
                assert stock.wait(f"{name} of two").text == f"secret of {name}"
            two_alone = [row for row in journal.workers() if row.alive]
            until(lambda: journal.counts() == {"done": 12}, "the end")
            assert [row.pid for row in two_alone if row.pid in (one.pid, two.pid)] == [two.pid]
        finally:
            journal.close()
