"""`holdfast token`: how people and programs show who they are to the console and its API."""

from __future__ import annotations

import json
import time
from contextlib import closing

import click

from holdfast.cli import say
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.settings import db_option
from holdfast.operating.printable import quoted

ROLES = ("viewer", "operator", "codes")


@click.group()
def command() -> None:
    """Make and revoke tokens for the console and its API.

    A viewer sees how flows stand; an operator also starts, cancels, retries and extends them; and
    with codes one also sees codes.
    """


@command.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.option(
    "--expires",
    type=Duration(),
    metavar="DURATION",
    help="From now on, how long it can be used: 8h, 90d. Without this option, until it is revoked.",
)
@db_option
def add(name: str, role: str, expires: float | None, db: str) -> None:
    """Make a token, and print it: this once, because only its hash is kept.

    NAME says in the audit who used it, such as a person or a program; it is never used again.
    If there is no database yet, this makes it.
    """
    from holdfast.operating.audit import operator
    from holdfast.operating.database import open_journal
    from holdfast.operating.people import one_person
    from holdfast_journal.errors import TokenExists

    name = one_person(name, None).name
    until = None if expires is None else time.time() + expires
    with closing(open_journal(db, say.tell)) as journal:
        try:
            made = journal.tokens.make(name, role, until, operator())
        except TokenExists:
            raise Failure(f"there is, or was, a token called {quoted(name)}") from None
    say.out(made)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, times in seconds since the epoch.")
@db_option
def list_all(as_json: bool, db: str) -> None:
    """List all tokens that there are and were; not the tokens themselves."""
    from attrs import asdict

    from holdfast.cli.brief import moment
    from holdfast.cli.tables import cell, column, new_table, show
    from holdfast.operating.database import existing_journal

    with existing_journal(db, say.tell, looks=True) as journal:
        found = journal.tokens.all()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    now = time.time()
    table = new_table()
    column(table, "NAME", folds=True)
    for heading, spare in (("ROLE", False), ("MADE", True), ("LAST USED", True), ("STATE", False)):
        column(table, heading, spare=spare)
    for each in found:
        used = "never" if each.last_used_day is None else moment(each.last_used_day * 86400.0)
        state = "good" if each.is_good(now) else "expired" if each.revoked_at is None else "revoked"
        texts = (each.name, each.role, moment(each.created_at), used.partition(" ")[0], state)
        table.add_row(*map(cell, texts))
    show(table)


@command.command()
@click.argument("name")
@db_option
def revoke(name: str, db: str) -> None:
    """Make a token useless at once."""
    from holdfast.operating.audit import operator
    from holdfast.operating.database import existing_journal
    from holdfast.operating.people import same_name

    with existing_journal(db, say.tell) as journal:
        if not journal.tokens.revoke(same_name(name), operator()):
            raise Failure(f"no token called {quoted(name)} could be used")
    say.err(f"the token {quoted(name)} cannot be used any more")
