"""What services say of themselves, in the forms that programs read."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import channel, say
from holdfast.cli.channel import Form, Level, Record, as_json, usual_form, written
from holdfast.cli.commands import relay
from holdfast.cli.failure import Failure, Interrupted

ALWAYS = ["time", "level", "event", "message", "service", "pid"]

levels = st.sampled_from(get_args(Level))
facts = st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.binary())
records = st.builds(Record, st.floats(0, 4e9), levels, st.text(), st.text(), facts)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    channel.choose(Form.SHOWN)


@given(records)
def test_one_object_a_line(record: Record) -> None:
    """Whatever is said, and whoever named things in it: one line, with the same keys first."""
    line = as_json(record, "run", 7)
    assert line.isascii()
    assert line.isprintable()
    read = json.loads(line)
    assert list(read)[: len(ALWAYS)] == ALWAYS
    assert (read["level"], read["service"], read["pid"]) == (record.level, "run", 7)
    assert set(read) == {*ALWAYS, *record.keys}


@given(records)
def test_one_line_of_text(record: Record) -> None:
    """The time and the level come first, and a terminal may show it."""
    channel.choose(Form.TEXT)
    time, level, *_ = written(record).split()
    assert (time, level) == (json.loads(as_json(record, "run", 7))["time"], record.level)
    assert len(written(record).splitlines()) == 1
    assert "\x1b" not in written(record)


@given(records)
def test_one_line_of_the_journal(record: Record) -> None:
    """The priority that syslog(3) gives to the level, and one line that a terminal may show."""
    channel.choose(Form.JOURNAL)
    line = written(record)
    assert line[:3] == f"<{channel.PRIORITIES[record.level]}>"
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_the_time_and_the_bounds() -> None:
    """The time is UTC, to a millisecond; what is long is cut."""
    record = Record(1_700_000_000.25, "info", "flow", "a" * 3000, {"reason": "b" * 3000, "n": 1})
    read = json.loads(as_json(record, "run", 7))
    assert read["time"] == "2023-11-14T22:13:20.250+00:00"
    assert len(read["message"]) == len(read["reason"]) == channel.LONGEST
    assert read["n"] == 1


def test_the_form_that_nobody_chose() -> None:
    """The journal's if standard error is what systemd says it connected to the journal."""
    read, write = os.pipe()
    there = os.fstat(write)
    found = f"{there.st_dev}:{there.st_ino}"
    try:
        assert usual_form({"JOURNAL_STREAM": found}, write) is Form.JOURNAL
        # The variable is inherited by those whose streams lead elsewhere.
        assert usual_form({"JOURNAL_STREAM": found + "1"}, write) is Form.SHOWN
        assert usual_form({}, write) is Form.SHOWN
    finally:
        os.close(read)
        os.close(write)
    assert usual_form({"JOURNAL_STREAM": found}, write) is Form.SHOWN


def test_who_was_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command asks the environment: for the form, and for systemd's journal."""
    there = os.fstat(2)
    monkeypatch.delenv("HOLDFAST_LOG_FORMAT", raising=False)
    monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
    relay.command.make_context("relay", [])
    assert channel.form() is Form.JOURNAL
    relay.command.make_context("relay", ["--log-format", "text"])
    assert channel.form() is Form.TEXT
    monkeypatch.setenv("HOLDFAST_LOG_FORMAT", "json")
    relay.command.make_context("relay", [])
    assert channel.form() is Form.JSON


SCRIPT = """
import sys
from twisted.logger import Logger
from twisted.python import log
from holdfast.cli import channel, say
from holdfast.cli.logs import log_what_goes_wrong

channel.choose(channel.Form(sys.argv[1]), "run")
say.take_over()
log_what_goes_wrong()
say.out("the product")
say.tell("made a key file")
say.err("holdfast: the disk is full")
say.err("1 person: 1 started.")
say.err("\\r  \\r", end="")
print("a flow prints\\nhalf", end="")
print(" a line")
Logger("holdfast.somewhere").warn("flow {name} was taken over", name="ann", other="hidden")
Logger("holdfast.somewhere").debug("not worth a line")
Logger("elsewhere").error("a nameplate")
try:
    raise KeyError("a secret")
except KeyError:
    log.err(None, "with these words")
say.finish()
"""


def test_one_channel_for_everything() -> None:
    """Notices, warnings, errors and what others print: one stream, and one form."""
    words = [sys.executable, "-c", SCRIPT, "json"]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ran.stdout == "the product\n"
    said = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [(each["event"], each["level"], each["message"]) for each in said] == [
        ("notice", "warning", "made a key file"),
        ("notice", "warning", "the disk is full"),
        ("note", "info", "1 person: 1 started."),
        ("printed", "info", "a flow prints"),
        ("printed", "info", "half a line"),
        ("log", "warning", "flow ann was taken over"),
        ("error", "error", "KeyError in <module>, line 22 of <string>"),
    ]
    assert (said[5]["logger"], said[5]["name"]) == ("holdfast.somewhere", "ann")
    assert said[6]["error"] == "KeyError"
    assert "hidden" not in ran.stderr
    assert "secret" not in ran.stderr


@pytest.mark.parametrize(
    ("failure", "level", "status"),
    [(Failure("no such database"), "error", 2), (Interrupted("stopped"), "info", 130)],
)
def test_how_a_service_ends(
    failure: Failure, level: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """An end that was expected is said in the same form."""
    channel.choose(Form.JSON, "provision")
    failure.show()
    said = json.loads(capsys.readouterr().err)
    assert (said["event"], said["level"], said["exit_status"]) == ("ended", level, status)
    channel.choose(Form.JOURNAL)
    say.log("stopped", "stopped")
    assert capsys.readouterr().err == "<6>stopped\n"
