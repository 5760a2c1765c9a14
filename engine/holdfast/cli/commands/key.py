"""`holdfast key`: making a new master key, and changing to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.failure import Failure, Unfinished
from holdfast.cli.settings import db_option
from holdfast.operating.printable import printable, quoted

if TYPE_CHECKING:
    from holdfast_journal.upkeep import Rotation


@click.group()
def command() -> None:
    """Make a new master key, and change to it.

    To change the master key: 'holdfast key new', 'holdfast key rotate', and then take the old key
    out of the key file. Workers may run all the time, if they have a key file.
    """


@command.command()
@click.option(
    "--print",
    "printed",
    is_flag=True,
    help="Print a new key and change nothing. Use this if you keep the key in HOLDFAST_KEY.",
)
@db_option
def new(printed: bool, db: str) -> None:
    """Put a new master key in front of the key file.

    The key file is that of HOLDFAST_KEY_FILE, or the one beside the SQLite file. From then on the
    new key seals new flows, and the old one still opens the others.
    """
    if printed:
        from holdfast_journal.upkeep import new_key

        click.echo(new_key().hex())
        return

    from holdfast_journal.upkeep import add_key

    path = _key_file(db)
    name = add_key(path)
    click.echo(f"The key {name} is the first in {printable(str(path))} now.")
    click.echo(
        "Keep a copy of the file in a safe place; 'holdfast key rotate' changes to the new key."
    )


@command.command("list", short_help="Show the keys by identifiers, and what each seals.")
@db_option
def list_(db: str) -> None:
    """Show the master keys by their identifiers, and how many flows each seals.

    The keys themselves are never shown.
    """
    from holdfast.cli.tables import cell, column, new_table, show
    from holdfast.operating.database import must_exist
    from holdfast_journal.upkeep import list_keys

    must_exist(db)
    found, file = list_keys(db, os.environ)
    lines = _lines(file)
    table = new_table()
    column(table, "KEY")
    column(table, "FLOWS", right=True)
    column(table, "WHERE", folds=True)
    for use in found:
        where = f"line {lines[use.id]} of {file}" if use.id in lines else "HOLDFAST_KEY"
        if not use.here:
            where = "missing"
        elif use.seals:
            where += ", seals new flows"
        table.add_row(cell(use.id), cell(str(use.flows)), cell(where, "" if use.here else "red"))
    show(table)
    if any(not use.here for use in found):
        raise Unfinished("a key that is in use is missing: what it seals cannot be read")


@command.command()
@db_option
def rotate(db: str) -> None:
    """Seal every flow under the first master key.

    Only each flow's own key, a few bytes, is sealed again, so a hundred thousand flows take
    seconds. Workers may keep running. If this command is killed, start it again: it does the rest.
    At the end it says which keys are no longer needed. On a terminal it says how far it is.
    """
    from holdfast.cli.status_line import StatusLine
    from holdfast.operating.audit import operator
    from holdfast.operating.database import upkeep

    line = StatusLine()
    with upkeep(db, say.tell) as keeper:
        try:
            done = keeper.rotate(operator(), lambda count: line.tell(_sealed(count)))
        finally:
            line.clear()
        file = keeper.key_file
    lines = _lines(file)
    click.echo(f"{_sealed(done.resealed)}; the key {done.first} seals all of them.")
    if done.left:
        click.echo(
            f"Except for some that no key here opens: {', '.join(quoted(n) for n in done.left)}."
        )
    _tell_unneeded(done, file, lines)
    if done.left:
        raise Unfinished("the old keys are still needed; restore these flows or purge them")


def _sealed(count: int) -> str:
    return f"{'1 flow was' if count == 1 else f'{count} flows were'} sealed again"


def _tell_unneeded(done: Rotation, file: Path | None, lines: Mapping[str, int]) -> None:
    unneeded: Sequence[str] = [name for name in lines if name != done.first and not done.left]
    if file is None:
        others = ", ".join(done.forgotten)
        if others:
            click.echo(
                f"The key {others} may be taken out of HOLDFAST_KEY, once every worker was"
                " restarted with both."
            )
    for name in unneeded:
        click.echo(f"The key {name}, line {lines[name]} of {file}, may be removed from there.")
    if unneeded or done.forgotten:
        click.echo("Keep it elsewhere as long as you keep backups from before: they need it.")


def _lines(file: Path | None) -> Mapping[str, int]:
    from holdfast_journal.upkeep import key_lines

    return {} if file is None else key_lines(file)


def _key_file(db: str) -> Path:
    from holdfast_journal.upkeep import key_file_of, parse_url

    if os.environ.get("HOLDFAST_KEY"):
        raise Failure(
            "the master key is in HOLDFAST_KEY: put a new one, which --print makes, in front of it,"
            " and a space between them"
        )
    if name := os.environ.get("HOLDFAST_KEY_FILE"):
        return Path(name)
    parsed = parse_url(db)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise Failure("set HOLDFAST_KEY_FILE to the file that holds the master key")
    path = key_file_of(Path(parsed.database))
    if not path.exists():
        raise Failure(f"there is no key file {path} yet; 'holdfast provision' makes it")
    return path
