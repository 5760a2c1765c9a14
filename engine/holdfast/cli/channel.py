"""The one channel for what a service says of itself, and the forms that a line of it may have.

`--log-format` chooses the form. Standard output is not part of it: that is for what a command
produces, such as codes. Where nobody chose one, each command shows things as it likes; `text`,
`json` and `journal` are written here, in one place, so that every line has the same.

The journal's form is that of sd-daemon(3): `<N>` and the priority of syslog(3) before the text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, TypeVar

import click
from attrs import define, frozen

from holdfast.operating.printable import printable

Command = TypeVar("Command", bound=Callable[..., Any])

Level = Literal["debug", "info", "warning", "error", "critical"]

PRIORITIES: Final[Mapping[Level, int]] = {
    "critical": 2,
    "error": 3,
    "warning": 4,
    "info": 6,
    "debug": 7,
}
"""Of syslog(3)."""

LONGEST: Final = 2000
"""Characters of a message, and of the value of a key."""


class Form(StrEnum):
    """What a line looks like."""

    SHOWN = "shown"
    """As each command shows it to people: nobody chose another form."""
    TEXT = "text"
    JSON = "json"
    JOURNAL = "journal"


@frozen
class Record:
    """One thing that a service says.

    Args:
        at: seconds since the epoch.
        level: how much it matters.
        event: a word that stays the same from release to release, for programs.
        message: the same for people, in one line.
        keys: what else programs may want to know; never a secret.
    """

    at: float
    level: Level
    event: str
    message: str
    keys: Mapping[str, object]


@define
class _Channel:
    """How this process writes, from its first line on."""

    form: Form = Form.SHOWN
    service: str = ""


_channel = _Channel()


def form() -> Form:
    """Return the form that was chosen."""
    return _channel.form


def choose(chosen: Form, service: str = "") -> None:
    """Write in this form from now on, as this command, such as `run`."""
    _channel.form, _channel.service = chosen, service


def written(record: Record) -> str:
    """Return the line for a record in a form that was chosen, without its end."""
    if _channel.form is Form.JOURNAL:
        return f"<{PRIORITIES[record.level]}>{printable(record.message, LONGEST)}"
    if _channel.form is Form.TEXT:
        return f"{_time(record)} {record.level:<8} {printable(record.message, LONGEST)}"
    return as_json(record, _channel.service, os.getpid())


def as_json(record: Record, service: str, pid: int) -> str:
    """Return a record as one line of JSON; the keys that every line has come first."""
    always: dict[str, object] = {
        "time": _time(record),
        "level": record.level,
        "event": record.event,
        "message": _bounded(record.message),
        "service": service,
        "pid": pid,
    }
    more = {key: _bounded(value) for key, value in record.keys.items() if key not in always}
    return json.dumps(always | more)


def _time(record: Record) -> str:
    return datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds")


def _bounded(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def usual_form(environ: Mapping[str, str], stream: int = 2) -> Form:
    """Return the form for a process that was not told one: the journal's if systemd reads it.

    Args:
        environ: the environment; JOURNAL_STREAM is described in systemd.exec(5).
        stream: the descriptor of standard error.
    """
    try:
        there = os.fstat(stream)
    except OSError:
        return Form.SHOWN
    is_journal = environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"
    return Form.JOURNAL if is_journal else Form.SHOWN


def _chosen(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    choose(usual_form(os.environ) if value is None else Form(value), ctx.info_name or "")


def log_format_option(command: Command) -> Command:
    """Add `--log-format`; the command gets no argument, because `say` heeds it."""
    return click.option(
        "--log-format",
        type=click.Choice([each.value for each in Form if each is not Form.SHOWN]),
        envvar="HOLDFAST_LOG_FORMAT",
        show_envvar=True,
        show_default="journal if systemd reads it",
        callback=_chosen,
        expose_value=False,
        is_eager=True,
        help="How to write what it says of itself: each thing is one line on standard error, with a"
        " time and a level. Without it, lines are as people at a terminal want them.",
    )(command)
