"""`holdfast start`: start a flow of the user's own, and leave it to the workers that run."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import say
from holdfast.cli.awaiting import await_codes, wait_options
from holdfast.cli.failure import Failure
from holdfast.cli.hooking import hook_options
from holdfast.cli.settings import class_appid_option, db_option, deadline_option, relay_option
from holdfast.cli.tor import left_to_tor_option
from holdfast.operating.fields import LONGEST, fields_in, flow_of, typed_fields
from holdfast.operating.finding import DEFAULT_BATCH
from holdfast.operating.people import one_person
from holdfast.operating.printable import quoted
from holdfast.operating.refused import because

if TYPE_CHECKING:
    from holdfast.operating.hooks import AskedHooks


@click.command()
@click.argument("kind", metavar="KIND")
@click.argument("name", metavar="NAME")
@click.argument("words", metavar="[FIELD=VALUE]...", nargs=-1)
@click.option(
    "--flows",
    "sources",
    multiple=True,
    required=True,
    metavar="MODULE",
    help="Where your flows are: a module name or a .py file, which registers them. Repeatable.",
)
@click.option(
    "--fields",
    "file",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="Take fields from a JSON object in FILE; - is standard input. Other users of this machine"
    " can see a FIELD=VALUE in the list of processes, and cannot see these.",
)
@click.option(
    "--batch",
    default=DEFAULT_BATCH,
    show_default=True,
    help="The batch to put the flow in. A name is unique within its batch.",
)
@wait_options
@deadline_option
@left_to_tor_option
@hook_options
@db_option
@relay_option
@class_appid_option
def command(
    kind: str,
    name: str,
    words: Sequence[str],
    sources: Sequence[str],
    file: str | None,
    batch: str,
    wait: float | None,
    deadline: float | None,
    tor: bool,
    hooks: AskedHooks,
    db: str,
    relay: str,
    appid: str | None,
) -> None:
    """Start a flow of your own, and return at once.

    KIND is the name under which the flow is registered, and NAME the name by which it will be
    known. A FIELD is an argument of its class: a text is written as it is, everything else as JSON:
    user=ada serial=3 'groups=["admin"]'. All fields are checked against the class before anything
    is stored. A running 'holdfast run --flows MODULE' runs the flow. A NAME that was started before
    with the same fields is not started twice.

    Exit status: 0 if the flow is started, and with --wait-codes has its code; 1 if the code did not
    come; 2 if nothing was started.
    """
    from holdfast.operating.audit import operator
    from holdfast.operating.batches import check_names
    from holdfast.operating.database import open_journal
    from holdfast.operating.own_flows import load
    from holdfast.operating.starting import checked_flow, own_class, start_one

    cls = own_class(kind, load(sources))
    flow = flow_of(cls, typed_fields(words), {} if file is None else _fields(file))
    expires = None if deadline is None else time.time() + deadline
    person = one_person(name, None)
    for hook in hooks.commands:
        check_names([person], hook, "NAME")
    new = checked_flow(
        person.name,
        flow,
        relay=relay,
        appid=appid,
        deadline=expires,
        tor=tor,
        hooks=hooks.words,
    )
    journal = open_journal(db, say.tell)
    try:
        is_new = start_one(journal, batch, new, operator())
        say.err(f"{quoted(person.name, 200)} is {'started' if is_new else 'there already'}.")
        await_codes(journal, batch, [person.name], wait, alone=True)
    finally:
        journal.close()


def _fields(file: str) -> dict[str, Any]:
    where = "standard input" if file == "-" else file
    if file == "-" and sys.stdin is None:
        raise Failure("--fields: standard input is closed")
    try:
        if file == "-":
            return fields_in(sys.stdin.buffer.read(LONGEST + 1), where)
        with Path(file).open("rb") as stream:
            return fields_in(stream.read(LONGEST + 1), where)
    except OSError as error:
        raise because(where, error) from None
    except ValueError:  # a NUL in the path
        raise Failure("--fields: this cannot be the name of a file") from None
