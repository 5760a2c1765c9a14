"""`--exchange`: what is handed out, and what is refused before anything is started."""

import json
from pathlib import Path
from typing import Any

import pytest
import wormhole as stock
from twisted.internet import reactor as real

from tests.cli.journals import failed, run
from tests.harness import reactor
from tests.harness.process import Holdfast

GRID = {"introducer": "pb://hunter2@tcp:example.com:1/x"}


@pytest.mark.parametrize(
    ("person", "words", "says"),
    [
        ({"secret": "hunter2"}, (), "people.jsonl, line 2: the configuration is no JSON"),
        (
            {"secret": '{"introducer": "hunter2"}'},
            (),
            "people.jsonl, line 2: the introducer of the",
        ),
        ({"secret": json.dumps(GRID), "file": "x"}, (), "people.jsonl, line 2: there is both"),
        ({"file": "people.jsonl"}, (), "--exchange tahoe-invite: this hands out configurations"),
        ({"secret": json.dumps(GRID)}, ("--letters", "letters"), "--letters: "),
        ({"secret": json.dumps(GRID)}, ("--qr",), "--qr: this is for people"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, person: dict[str, str], words: tuple[str, ...], says: str
) -> None:
    """In one line that quotes no secret; no database is made."""
    people, database = tmp_path / "people.jsonl", tmp_path / "none.db"
    people.write_text("\n" + json.dumps({"name": "bob", **person}) + "\n")
    people.chmod(0o600)
    result = run(database, "provision", str(people), "--exchange", "tahoe-invite", *words)
    failed(result, says)
    assert "hunter2" not in result.stderr
    assert not database.exists()


def test_one_person(tmp_path: Path) -> None:
    """Whoever is typed has a configuration too; the same secret for both protocols is two."""
    database, secret = tmp_path / "one.db", tmp_path / "grid.json"
    secret.write_text(json.dumps(GRID))
    words = ("add", "bob", "--secret-file", secret, "--exchange", "tahoe-invite")
    assert run(database, *words).exit_code == 0
    assert "1 added before" in run(database, *words).stderr
    failed(run(database, *words[:4]), "'bob' was started with another secret before")
    assert "tahoe-invite" in run(database, "status", "--json").stdout


async def joined(url: str, code: str) -> list[Any]:
    """Do what the stock program does with a code; return what it hears."""
    client = stock.create("tahoe-lafs.org/invite", url, real)
    client.set_code(code)
    client.send_message(json.dumps({"abilities": {"client-v1": {}}}).encode())
    heard = [json.loads(await client.get_message()) for _ in range(2)]
    await client.close()
    return heard


def test_a_client_joins(home: Holdfast, tmp_path: Path) -> None:
    """People are told what to type, and get the configuration."""
    (tmp_path / "people.csv").write_text("name\nbob\n")
    (tmp_path / "grid.json").write_text(json.dumps(GRID))
    words = ("--exchange", "tahoe-invite", "--mint", f"cat {tmp_path}/grid.json")
    with home.start("provision", tmp_path / "people.csv", *words) as inviter:
        code = inviter.wait_for(r"^bob\t(\d+-\S+)$")[1]
        said, told = reactor.run(lambda: joined(str(home.relay), code))
        assert inviter.wait().status == 0
    assert f"tahoe --wormhole-server={home.relay} create-client --join=CODE" in inviter.err
    assert said == {"abilities": {"server-v1": {}}}
    assert (told["nickname"], told["shares-total"]) == ("bob", 10)
    assert told["introducer"] == GRID["introducer"]
