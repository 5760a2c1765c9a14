"""``holdfast start``: a flow of the user's own, its fields checked before anything is stored."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from holdfast.cli.main import holdfast
from holdfast.flows.base import _kinds as flow_kinds
from holdfast.flows.document import Params, begin
from tests.cli.journals import failed, move, open_at
from tests.cli.test_run_flows import _forgotten  # noqa: F401 - what a test registers is forgotten

FLOWS = """
from enum import Enum
from typing import Any, Literal

from attrs import field, frozen, validators

from holdfast import Flow, flow


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@frozen
class Place:
    room: str
    shelf: int = 0


@flow("enrol-device", appid="example.com/enrol")
class EnrolDevice(Flow):
    user: str
    serial: int
    weight: float = 1.0
    urgent: bool = False
    groups: list[str] = field(factory=list)
    limits: dict[str, int] = field(factory=dict)
    place: Place | None = None
    note: str | None = None
    colour: Literal["red", "green"] = "red"
    extra: Any = None
    pin: str = field(default="0000", validator=validators.max_len(4), repr=False)
    sent: bool = field(default=False, init=False)
"""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    (tmp_path / "device_flows.py").write_text(FLOWS)
    return tmp_path / "holdfast.db"


def start(db: Path, *args: str, typed: str | None = None, kind: str = "enrol-device") -> Result:
    env = {"HOLDFAST_KEY": None, "HOLDFAST_KEY_FILE": None, "HOLDFAST_DB": str(db)}
    words = ["start", "--flows", str(db.parent / "device_flows.py"), kind, *args]
    result = CliRunner().invoke(holdfast, words, input=typed, env=env)
    forget()
    return result


def forget() -> None:
    """Import the module anew at the next start, as another process does."""
    import sys

    sys.modules.pop("device_flows", None)
    STORED.update({"enrol-device": kind} if (kind := flow_kinds.pop("enrol-device", None)) else {})


STORED: dict[str, Any] = {}


def stored(db: Path) -> list[Params]:
    journal = open_at(db)
    flows = journal.take()
    journal.close()
    return [Params.from_bytes(each.params) for each in flows]


@pytest.fixture(autouse=True)
def _stored_forgotten() -> Iterator[None]:
    yield
    STORED.clear()


def test_fields_of_every_type(db: Path) -> None:
    """A text is itself, everything else is JSON; what is stored makes the flow."""
    given = {
        "user": "3",
        "serial": "7",
        "weight": "2",
        "urgent": "true",
        "groups": '["a", "b"]',
        "limits": '{"mail": 5}',
        "place": '{"room": "attic"}',
        "note": "null",
        "colour": "green",
        "extra": '[1, {"a": null}]',
        "pin": "a=b",
    }
    result = start(db, "ada", *(f"{name}={value}" for name, value in given.items()))
    assert result.exit_code == 0, result.output
    assert "'ada' is started.\n" in result.stderr
    [params] = stored(db)
    assert params.appid == "example.com/enrol"
    assert params.params == {
        "user": "3",
        "serial": 7,
        "weight": 2.0,
        "urgent": True,
        "groups": ["a", "b"],
        "limits": {"mail": 5},
        "place": {"room": "attic", "shelf": 0},
        "note": None,
        "colour": "green",
        "extra": [1, {"a": None}],
        "pin": "a=b",
    }
    flow_kinds.update(STORED)
    assert begin("enrol-device", params.params).user == "3"  # type: ignore[attr-defined]


def test_fields_that_others_cannot_see(db: Path) -> None:
    """They come from standard input, as JSON, and go together with those that are typed."""
    result = start(db, "ada", "serial=7", "--fields", "-", typed='{"user": "ada", "pin": "1234"}')
    assert result.exit_code == 0, result.output
    [params] = stored(db)
    assert (params.params["user"], params.params["pin"]) == ("ada", "1234")


def test_the_same_again(db: Path) -> None:
    """It is not started twice; with other fields it is refused; its code is printed."""
    fields = ("ada", "user=ada", "serial=7")
    assert start(db, *fields).exit_code == 0
    assert "'ada' is there already.\n" in start(db, *fields).stderr
    failed(start(db, "ada", "user=ada", "serial=8"), "'ada' was started with other fields before")
    journal = open_at(db)
    [flow] = journal.take()
    move(flow, "waiting", code="4-a-b")
    journal.close()
    result = start(db, *fields, "--wait-codes")
    assert (result.exit_code, result.stdout) == (0, "4-a-b\n")


def test_who_is_told_otherwise(db: Path) -> None:
    """The application id, the server, the deadline and hooks can be given."""
    more = ("--appid", "other", "--relay", "ws://here.example/v1", "--deadline", "1h")
    more += ("--on-collected", "true {name}", "--on-trouble", "https://shop.example/hook")
    assert start(db, "ada", "user=ada", "serial=7", *more, "--batch", "b").exit_code == 0
    [params] = stored(db)
    assert (params.appid, params.relay) == ("other", "ws://here.example/v1")
    assert params.deadline is not None
    assert params.hooks["collected"][1:] == ["{name}"]
    assert params.hooks["trouble"] == ["https://shop.example/hook"]


NEEDED = ("user=ada", "serial=7")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["user=ada"], "EnrolDevice needs serial=... (a whole number)"),
        ([], "EnrolDevice needs user=... (a text), serial=... (a whole number)"),
        (["user=ada", "serial=s3cr3t"], "EnrolDevice.serial takes a whole number"),
        (["user=ada", "serial=1.0"], "EnrolDevice.serial takes a whole number"),
        (["user=ada", "serial=true"], "EnrolDevice.serial takes a whole number"),
        ([*NEEDED, "weight=NaN"], "EnrolDevice.weight takes a number"),
        ([*NEEDED, "urgent=s3cr3t"], "EnrolDevice.urgent takes true or false"),
        ([*NEEDED, "groups=s3cr3t"], "EnrolDevice.groups takes a JSON array of which each is a te"),
        ([*NEEDED, 'groups="s3cr3t"'], "EnrolDevice.groups takes a JSON array"),
        ([*NEEDED, 'groups=["a", 1]'], "EnrolDevice.groups takes a JSON array"),
        ([*NEEDED, "limits=[1]"], "limits takes a JSON object whose values are each a whole numb"),
        ([*NEEDED, 'place={"shelf": 1}'], "place takes a JSON object with room, shelf or null"),
        ([*NEEDED, "colour=blue"], "EnrolDevice.colour takes one of red, green"),
        ([*NEEDED, "pin=s3cr3t"], "EnrolDevice refuses these fields: ValueError"),
        ([*NEEDED, "usr=s3cr3t"], "no field 'usr' that can be given; its fields: user, serial,"),
        ([*NEEDED, "sent=true"], "no field 'sent' that can be given"),
        ([*NEEDED, "user=s3cr3t"], "the field 'user' is there twice"),
        (["s3cr3t-only"], "a field is written FIELD=VALUE"),
        ([*NEEDED, "extra=" + "[" * 500 + "]" * 500], "too deep"),
    ],
)
def test_fields_that_do_not_fit(args: list[str], said: str, db: Path) -> None:
    """The message names the field and what it takes, and no value; nothing is stored."""
    result = start(db, "ada", *args)
    failed(result, said)
    assert "=s3cr3t" not in result.stderr and "'s3cr3t'" not in result.stderr
    assert not db.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3cr3t", "standard input: not a JSON object"),
        ("[1]", "standard input: not a JSON object"),
        (json.dumps({"user": 3, "serial": 7}), "EnrolDevice.user takes a text"),
        (json.dumps({"user": "a", "serial": "7"}), "EnrolDevice.serial takes a whole number"),
        ('{"serial": ' + "1" * 5000 + "}", "standard input: not a JSON object"),
        ("[" * 100_000, "standard input: not a JSON object"),
    ],
)
def test_an_object_that_does_not_fit(text: str, said: str, db: Path) -> None:
    """What comes as JSON is checked likewise."""
    failed(start(db, "ada", "--fields", "-", typed=text), said)
    assert not db.exists()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("provision", "'provision' is Holdfast's own; see 'holdfast add'"),
        ("enrol", "no flow of the kind 'enrol' is in the modules of --flows; there is '"),
    ],
)
def test_kinds_that_are_not_there(kind: str, said: str, db: Path) -> None:
    """Those that are there are named."""
    failed(start(db, "ada", kind=kind), said)
    assert not db.exists()
