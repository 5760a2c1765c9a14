"""`wormhole-william`, the Go client, in both directions, where it is installed."""

import csv
import json
from pathlib import Path

from tests.harness.peers import code_of, needs_william, william_receive, william_send
from tests.harness.process import Child, Holdfast
from tests.harness.waiting import until
from tests.interop.conftest import TEXT, wrong

pytestmark = needs_william

CODE = r"^(\d+-\S+)\n"


def test_it_receives(home: Holdfast, tmp_path: Path) -> None:
    """It prints what `holdfast send` sends."""
    (tmp_path / "text").write_text(TEXT)
    with home.start("send", "--text-file", tmp_path / "text") as sender:
        with william_receive(str(home.relay), sender.wait_for(CODE)[1]) as receiver:
            ended = receiver.wait()
        assert (ended.status, ended.out) == (0, TEXT + "\n")
        assert sender.wait().status == 0


def test_it_sends(home: Holdfast) -> None:
    """`holdfast receive` prints what it sends, and it knows that the text arrived."""
    with william_send(str(home.relay), TEXT) as sender:
        ended = home.run("receive", code_of(sender))
        assert (ended.status, ended.out) == (0, TEXT + "\n")
        assert sender.wait().status == 0


def given(codes: Path) -> dict[str, str]:
    if not codes.exists():
        return {}
    with codes.open(newline="") as stream:
        return dict(list(csv.reader(stream))[1:])


def test_it_collects(home: Holdfast, tmp_path: Path) -> None:
    """People who have it collect what is provisioned; one who mistypes gets nothing."""
    people, codes = tmp_path / "people.jsonl", tmp_path / "codes.csv"
    secrets = {"ann": "für Ann", "mistyped": "never sent"}
    people.write_text(
        "".join(json.dumps({"name": name, "secret": secrets[name]}) + "\n" for name in secrets)
    )
    with home.start("provision", people, "--codes", codes) as child:
        until(lambda: len(given(codes)) == len(secrets), "all codes")
        for name, code in given(codes).items():
            entered = wrong(code) if name == "mistyped" else code
            with william_receive(str(home.relay), entered) as receiver:
                ended = receiver.wait()
            if name == "mistyped":
                assert ended.status != 0
                assert secrets[name] not in ended.out
            else:
                assert (ended.status, ended.out) == (0, secrets[name] + "\n")
        assert child.wait().status == 1
    rows = json.loads(home.run("status", "--json").out)
    assert {row["name"]: row["status"] for row in rows} == {
        "ann": "done",
        "mistyped": "scared",
    }


def test_wrong_words_for_what_it_sends(home: Holdfast) -> None:
    """Whoever enters other words hears that, and so does it; nothing was received."""
    with william_send(str(home.relay), "never received") as sender:
        ended = home.run("receive", wrong(code_of(sender)))
        assert ended.status == 1
        assert ended.out == ""
        assert "the other side used a different code" in ended.err
        assert failed(sender)


def failed(child: Child) -> bool:
    return child.wait().status != 0
