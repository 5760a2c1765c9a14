"""``--on-code``, ``--on-collected``, ``--on-trouble``: by real processes, to a real receiver."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import mistyped
from tests.cli.journals import failed, open_at, run
from tests.cli.test_provision import people
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.harness.webhooks import SECRET, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_a_batch_that_tells(
    tmp_path: Path, mailbox: MailboxServer, stock: StockReceivers, receiver: Receiver
) -> None:
    """The code, a wrong guess and the collecting are told, signed, each once; no secret is."""
    receiver.answer = lambda _: 500 if len(receiver.told) == 0 else 204
    home = Holdfast(
        tmp_path / "home",
        mailbox.url,
        str(tmp_path / "holdfast.db"),
        {"HOLDFAST_HOOK_SECRET": SECRET},
    )
    source = people(tmp_path / "people.csv", ("ann", "S3CR3T"))
    script = 'echo "$HOLDFAST_EVENT $HOLDFAST_NAME $HOLDFAST_STATUS $HOLDFAST_REASON"'
    told = tmp_path / "told"
    hooks = ("--on-code", receiver.url, "--on-collected", f"{receiver.url}collected")
    hooks = (*hooks, "--on-trouble", f"sh -c '{script} >> {told}'")
    with home.start("provision", source, "--guesses", "2", *hooks) as child:
        code = child.wait_for("^ann\t(\\S+)$")[1]
        assert stock.wait(mistyped(stock, code)).error == "WrongPasswordError"
        child.wait_for("the same code works again", stream="err")
        until(told.exists, "the trouble")
        until(lambda: len(receiver.told) == 2, "the code is told again")
        assert stock.wait(stock.receive(code)).text == "S3CR3T"
        assert child.wait().status == 0
        assert "the receiver says 500; it will be tried again" in child.err, child.err
    assert receiver.events() == ["code", "code", "collected"]
    first, again, collected = receiver.told
    assert first.key == again.key != collected.key
    assert first.body == again.body
    assert all(each.is_signed() for each in receiver.told)
    assert first.message["code"] == code
    assert collected.path == "/collected"
    assert {**collected.message, "flow": "", "time": ""} == {
        "event": "collected",
        "flow": "",
        "name": "ann",
        "batch": "default",
        "kind": "provision",
        "attempt": 1,
        "status": "done",
        "reason": "",
        "time": "",
    }
    assert told.read_text() == "trouble ann waiting wrong code, guess 1 of 2\n"
    assert b"S3CR3T" not in b"".join(each.body for each in receiver.told)


def test_a_receiver_that_is_down(
    tmp_path: Path, mailbox: MailboxServer, stock: StockReceivers, receiver: Receiver
) -> None:
    """The flow ends and its worker is killed; what was to be told is seen, and told by the next."""
    db = tmp_path / "holdfast.db"
    home = Holdfast(tmp_path / "home", mailbox.url, str(db))
    secret = tmp_path / "hook.secret"
    secret.write_text(SECRET)
    options = ("--on-collected", receiver.url)
    added = home.run("add", "ann", "--secret-file", secret, *options)
    assert (added.status, added.err) == (0, added.err)
    with home.start("run") as child:  # which has no secret for hooks
        code = until(lambda: live(db), "a code")
        assert stock.wait(stock.receive(code)).text == SECRET
        until(lambda: "HOLDFAST_HOOK_SECRET" in child.err, "the failure")
        child.wait_for("default/ann done")
        # Written down, not only said: what a dead worker has begun is another's only after a while.
        until(lambda: "HOLDFAST_HOOK_SECRET" in home.run("tasks").out, "the failure in the journal")
        child.kill9()
    assert receiver.told == []
    shown = home.run("status", "ann").out
    assert " done" in shown
    assert "webhook-collected" in shown
    assert home.run("tasks", "--json").out.count('"webhook-collected"') == 1
    environment = {"HOLDFAST_HOOK_SECRET_FILE": str(secret), "HOLDFAST_LOG_FORMAT": "json"}
    with home.start("run", **environment) as child:
        until(lambda: receiver.told, "what was to be told")
        child.wait_for("webhook-collected of flow ann is done, at try", stream="err")
        until(lambda: "No flow waits" in home.run("tasks").out, "the end of it")
        child.interrupt()
        assert child.wait().status == 0
    assert {told.message["event"] for told in receiver.told} == {"collected"}
    assert len({told.key for told in receiver.told}) == 1


def live(db: Path) -> str:
    """The code of the only flow, if it has one."""
    journal = open_at(db)
    try:
        (row,) = journal.overview()
        return str((row.published or {}).get("code") or "")
    finally:
        journal.close()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--on-code", "http://shop.example/"), "--on-code: http: is for receivers on this"),
        (("--on-code", "https://shop.example/"), "set HOLDFAST_HOOK_SECRET"),
        (("--on-trouble", "no-such-program x"), "--on-trouble: there is no program"),
        (("--on-trouble", "sh -c 'mail {name}'"), "a name that holds a command would be run"),
        (("--on-collected", ""), "--on-collected: there is no command in it"),
    ],
)
def test_what_is_refused(tmp_path: Path, options: tuple[str, str], why: str) -> None:
    """Before anything is started, in one line."""
    source = people(tmp_path / "people.csv", ("ann", "A-1"))
    failed(run(tmp_path / "no.db", "provision", str(source), *options), why)
    assert not (tmp_path / "no.db").exists()
