"""`holdfast add`: start flows, and leave them to the workers that run."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from attrs import evolve

from holdfast.cli import say
from holdfast.cli.awaiting import await_codes, wait_options
from holdfast.cli.coding import code_options
from holdfast.cli.failure import Failure
from holdfast.cli.hooking import hook_options
from holdfast.cli.peopling import AskedPeople, exchange_option, people_options, warn_of_readers
from holdfast.cli.settings import appid_option, db_option, deadline_option, relay_option
from holdfast.cli.tor import left_to_tor_option
from holdfast.operating.adding import is_people_file
from holdfast.operating.batches import Terms, check_names, start_batch
from holdfast.operating.people import Person, one_person

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
@click.option(
    "--file",
    metavar="PATH",
    type=click.Path(),
    help="What NAME gets instead of a secret: a file or folder, which is read when NAME is there.",
)
@people_options
@exchange_option
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
    file: str | None,
    people: AskedPeople,
    exchange: str | None,
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
    from holdfast.operating.exchanges import appid_of, check_exchange

    minting, many = people.minting, is_people_file(who)
    if many:
        if secret_file is not None or file is not None:
            option = "--secret-file" if file is None else "--file"
            raise Failure(f"{option}: this is for one NAME, and a file of people has its own")
        place: Path | Literal["-"] = "-" if who == "-" else Path(who)
        persons = people.read(place)
        if any(person.secret is not None for person in persons):
            warn_of_readers(place)
    else:
        persons = [_person(who, people, secret_file, file)]
    source = who if many else "NAME"
    for words in (minting or (), *hooks.commands):
        check_names(persons, words, source)
    files = people.handing(persons, source)
    check_exchange(exchange, persons, files, source)
    appid = appid_of(exchange, appid)
    expires = None if deadline is None else time.time() + deadline
    terms = Terms(relay, appid, expires, people.mint_timeout, code, tor, hooks, files, exchange)
    journal = open_journal(db, say.tell)
    try:
        existing = start_batch(journal, batch, persons, minting, who, terms, operator(), own=False)
        _tell(persons, existing)
        if code.notice is not None and existing < len(persons):
            say.tell(code.notice)
        names = [person.name for person in persons]
        await_codes(journal, batch, names, wait, alone=not many)
    finally:
        journal.close()


def _person(who: str, asked: AskedPeople, secret_file: str | None, file: str | None) -> Person:
    """Return the one person that was typed. Raises Failure, Refused."""
    ways = {"--secret-file": secret_file, "--file": file}
    given = [option for option, value in ways.items() if value is not None]
    if asked.minting is not None:
        given.append("--mint-file" if asked.minted_file else "--mint")
    if len(given) > 1:
        raise Failure(f"give {given[-1]} or {given[0]}, not both")
    if file is not None:
        # Links are not followed: what is sent has the name under which it was given.
        return evolve(one_person(who, None), file=os.path.abspath(file))  # noqa: PTH100
    return one_person(who, None if asked.minting is not None else _secret(secret_file))


def _secret(path: str | None) -> str:
    from holdfast.cli.texts import text_from

    return text_from(None if path is not None else "-", path)


def _tell(people: Sequence[Person], existing: int) -> None:
    new = len(people) - existing
    parts = [f"{new} added"] if new else []
    parts += [f"{existing} added before"] if existing else []
    say.err(f"{'1 person' if len(people) == 1 else f'{len(people)} people'}: {', '.join(parts)}.")
