"""`holdfast db`: whether the database can be used, and bringing it up to date."""

import os
import sys
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.failure import Unfinished
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from holdfast_journal.doctor import Health


@click.group()
def command() -> None:
    """Check the database, and bring it up to date."""


@command.command()
@db_option
def upgrade(db: str) -> None:
    """Bring the database to what this release of Holdfast needs.

    An SQLite file is copied first, beside itself. Copy a PostgreSQL database yourself, with
    pg_dump. Either the whole upgrade happens, or nothing does. Commands upgrade an SQLite file by
    themselves; a PostgreSQL database is upgraded by this command only: run it once, then start the
    new release on every machine. Workers of the previous release may keep running until then.
    """
    from holdfast.cli.status_line import StatusLine
    from holdfast.operating.database import upkeep

    line = StatusLine()
    line.tell("bringing the database up to date; an SQLite file is copied first")
    try:
        with upkeep(db, say.tell, upgrade=True) as keeper:
            done, name = keeper.upgraded, keeper.name
    finally:
        line.clear()
    click.echo(f"{name} {'is up to date now' if done else 'was up to date already'}.")


@command.command()
@db_option
def check(db: str) -> None:
    """Say which database this is, and whether it can be used.

    Shows its revision and the one that this release needs, whether the master key opens it, and,
    for an SQLite file, whether it is whole. Changes nothing, and shows no secret.

    Exit status: 0 if there is no problem, 1 if there is.
    """
    from holdfast.operating.database import must_exist
    from holdfast_journal.doctor import check as look
    from holdfast_journal.errors import DatabaseUnusable

    must_exist(db)
    try:
        found = look(db, os.environ)
    except DatabaseUnusable as error:
        raise Unfinished(str(error)) from None
    _show(found)
    if not found.good:
        sys.exit(1)


def _show(found: "Health") -> None:
    from holdfast.cli.tables import cell, new_table, show

    schema = {
        "empty": "nothing is in it yet; the first command that starts a flow prepares it",
        "current": "which this Holdfast works with",
        "older": f"and this Holdfast needs {found.needed}: run 'holdfast db upgrade'",
        "newer": "which is newer than this Holdfast: upgrade Holdfast",
    }[found.state]
    keys = "none is needed yet"
    if found.keys:
        keys = f"{', '.join(found.keys)}, and {'it is' if len(found.keys) == 1 else 'all are'} here"
    table = new_table()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    lines = [
        ("database", found.database, True),
        ("revision", ", ".join(filter(None, (found.revision, schema))), found.state == "current"),
        ("master key", found.key_trouble or keys, found.key_trouble is None),
    ]
    if found.database.startswith("sqlite"):
        lines += [("file", line, False) for line in found.damage] or [("file", "whole", True)]
    for label, value, good in lines:
        table.add_row(cell(label, "bold"), cell(value, "" if good else "red"))
    show(table)
