"""`holdfast add`: start flows, and leave them to the workers that run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from holdfast.cli import say
from holdfast.cli.awaiting import await_codes, wait_options
from holdfast.cli.coding import code_options
from holdfast.cli.failure import Failure
from holdfast.cli.hooking import hook_options
from holdfast.cli.peopling import people_options, warn_of_readers
from holdfast.cli.settings import appid_option, db_option, deadline_option, relay_option
from holdfast.cli.tor import left_to_tor_option
from holdfast.operating.adding import is_people_file
from holdfast.operating.batches import Terms, check_names, start_batch
from holdfast.operating.minting import mint_seconds_from, parse_command
from holdfast.operating.people import Person, one_person, read_people

if TYPE_CHECKING:
    from holdfast.operating.coding import AskedCode
    from holdfast.operating.hooks import AskedHooks


@click.command()
@click.argument("who", metavar="NAME|PEOPLE")
@click.option(
    "--secret-file",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="The secret for NAME, byte for byte; - is standard input. Without this option and --mint,"
    " it is standard input without its final line end.",
)
@people_options
@wait_options
@code_options
@hook_options
@deadline_option
@left_to_tor_option
@db_option
@relay_option
@appid_option
def command(
    who: str,
    secret_file: str | None,
    name_column: str,
    secret_column: str,
    mint: str | None,
    mint_seconds: float | None,
    batch: str,
    wait: float | None,
    code: AskedCode,
    hooks: AskedHooks,
    deadline: float | None,
    tor: bool,
    db: str,
    relay: str,
    appid: str,
) -> None:
    """Start flows for people, and return at once.

    A running 'holdfast run', on this machine or another, makes the codes and hands over the
    secrets. PEOPLE is as for 'holdfast provision': '-', or a file whose name ends with .csv, .jsonl
    or .ndjson. Anything else is the NAME of one person, whatever files there are. A name that was
    added before with the same secret is not started twice.

    Exit status: 0 if the flows are started, and with --wait-codes all have their codes; 1 if codes
    did not come; 2 if nothing was started.
    """
    from holdfast.operating.audit import operator
    from holdfast.operating.database import open_journal

    minting = None if mint is None else parse_command(mint)
    mint_timeout = mint_seconds_from(mint, mint_seconds)
    if is_people_file(who):
        if secret_file is not None:
            raise Failure("--secret-file: this is for one NAME, and a file of people has its own")
        place: Path | Literal["-"] = "-" if who == "-" else Path(who)
        column = None if minting else secret_column
        people = read_people(place, name_column=name_column, secret_column=column)
        if minting is None:
            warn_of_readers(place)
    else:
        people = [one_person(who, None if minting else _secret(secret_file))]
        if minting and secret_file is not None:
            raise Failure("give --mint or --secret-file, not both")
    for words in (minting or (), *hooks.commands):
        check_names(people, words, "NAME" if not is_people_file(who) else who)
    expires = None if deadline is None else time.time() + deadline
    terms = Terms(relay, appid, expires, mint_timeout, code, tor, hooks)
    journal = open_journal(db, say.tell)
    try:
        existing = start_batch(journal, batch, people, minting, who, terms, operator(), own=False)
        _tell(people, existing)
        if code.notice is not None and existing < len(people):
            say.tell(code.notice)
        names = [person.name for person in people]
        await_codes(journal, batch, names, wait, alone=not is_people_file(who))
    finally:
        journal.close()


def _secret(path: str | None) -> str:
    from holdfast.cli.texts import text_from

    return text_from(None if path is not None else "-", path)


def _tell(people: Sequence[Person], existing: int) -> None:
    new = len(people) - existing
    parts = [f"{new} added"] if new else []
    parts += [f"{existing} added before"] if existing else []
    say.err(f"{'1 person' if len(people) == 1 else f'{len(people)} people'}: {', '.join(parts)}.")
