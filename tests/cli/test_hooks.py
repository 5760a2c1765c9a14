"""``--on-code``, ``--on-collected``, ``--on-trouble``: by real processes, to a real receiver."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import mistyped
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
        child.wait_for("the same code opens again", stream="err")
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
