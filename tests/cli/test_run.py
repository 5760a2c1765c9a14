"""``holdfast run``: a service that takes up whatever is there, alone or beside others."""

import json
from contextlib import closing
from pathlib import Path

from holdfast.flows.document import new_flow
from holdfast.flows.shipped.provision import Provision
from holdfast.operating.audit import operator
from holdfast.transfer.text import APPID
from tests.cli.conftest import mistyped
from tests.cli.journals import open_at, run
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.service_manager import Listening
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
    looked = run(Path(str(home.db)), "status", "--json", "--codes")
    assert looked.exit_code == 0, looked.output
    shown = json.loads(looked.stdout)
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
        child.wait_for(r"default/bob wrong code \(the other side used a different code\)$")
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


def test_two_at_once(home: Holdfast, stock: StockReceivers, tmp_path: Path) -> None:
    """A second service of one file is refused, and a killed one's successor goes on at once."""
    add(home, "ann")
    with home.start("run") as one:
        one.wait_for("^serving")
        ann = code(home, "ann")
        for options in ([], ["--batch", "other"]):
            refused = home.run("run", *options)
            assert (refused.status, refused.out) == (2, "")
            assert refused.err == (
                f"holdfast: process {one.pid} serves {home.db} already, and an SQLite file has room"
                " for one: stop that one first, or keep the journal in PostgreSQL, which serves"
                " many\n"
            )
        # Other commands run what they started themselves.
        people = tmp_path / "people.csv"
        people.write_text("name,secret\nbob,secret of bob\n")
        with home.start("provision", people) as beside:
            bob = beside.wait_for("^bob\t(\\S+)$")[1]
            assert stock.wait(stock.receive(bob)).text == "secret of bob"
            assert beside.wait().status == 0
        one.kill9()
    # What it says is for programs now.
    notify = Listening(f"{tmp_path}/notify")
    env = {"HOLDFAST_LOG_FORMAT": "json", "NOTIFY_SOCKET": notify.address}
    with closing(notify), home.start("run", **env) as two:
        two.wait_for('"event": "serving"', stream="err")
        assert notify.heard()[0] == "READY=1"
        assert stock.wait(stock.receive(ann)).text == "secret of ann"
        two.wait_for('"status": "done"', stream="err")
        # Somebody wants it to leave, and not to come again.
        with closing(open_at(Path(str(home.db)))) as journal:
            journal.drain(journal.workers()[-1].id, act=operator().does("drain"))
        ended = two.wait()
    assert (ended.status, ended.out) == (3, "")
    said = [json.loads(line) for line in ended.err.splitlines()]
    assert {(each["service"], each["level"], each["pid"]) for each in said} == {
        ("run", "info", two.pid)
    }
    flows = [each for each in said if each["event"] == "flow"]
    assert flows[0]["status"] != "waiting", "it stood so before"
    flow = flows[-1]
    assert (flow["batch"], flow["name"], flow["kind"]) == ("default", "ann", "provision")
    assert (said[-1]["event"], said[-1]["exit_status"]) == ("ended", 3)
    assert ann not in ended.err
    assert "secret of" not in ended.err
