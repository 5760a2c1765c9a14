"""`--exchange`: what is refused before anything is started."""

import json
from pathlib import Path

import pytest

from tests.cli.journals import failed, run

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
