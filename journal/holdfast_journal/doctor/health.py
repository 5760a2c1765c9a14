"""Whether a database can be used: what its schema is, what its keys open, whether it is whole.

Changes nothing, and makes no key file.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing

from attrs import frozen
from sqlalchemy import select

from holdfast_journal.errors import DatabaseUnusable, Unreadable, WrongKey
from holdfast_journal.keys.master import find_keys, given_keys, used_keys
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import REVISIONS, flows
from holdfast_journal.store.upgrading import SchemaState, revision, schema_state

_MOST = 5
"""How many damages are reported."""


@frozen
class Health:
    """What was found."""

    database: str
    """The URL for people, its password hidden."""
    state: SchemaState
    revision: str | None
    """The migration that the database is at; None if it is empty."""
    needed: str
    """The migration that this release works with."""
    keys: Sequence[str]
    """Identifiers of the keys that flows are sealed under, if they are all here."""
    key_trouble: str | None
    """Why the keys do not open it."""
    damage: Sequence[str]
    """What SQLite says about its file; empty if it is whole, and for PostgreSQL."""

    @property
    def good(self) -> bool:
        """Whether this release can work with it."""
        return self.state == "current" and self.key_trouble is None and not self.damage


def check(url: str, environ: Mapping[str, str]) -> Health:
    """Look at the database at `url`. Raises DatabaseUnusable if that is not possible."""
    with closing(Database.open(url, looks=True)) as database:
        state = schema_state(database)
        used: Sequence[str] = ()
        trouble = None
        if state != "empty":
            used = used_keys(database)
            trouble = _key_trouble(database, environ)
        return Health(
            database=database.name,
            state=state,
            revision=revision(database),
            needed=REVISIONS[-1],
            keys=used,
            key_trouble=trouble,
            damage=_damage(database),
        )


def _key_trouble(database: Database, environ: Mapping[str, str]) -> str | None:
    """Open the newest flow, and not only compare identifiers."""
    try:
        given = given_keys(environ)
        ring: KeyRing
        ring, _ = find_keys(database, None if given is None else given.ring, make=False)
        # These columns were there from the beginning, whatever the schema is now.
        query = select(flows.c.uid, flows.c.data_key).where(flows.c.data_key.is_not(None))
        with database.reading() as connection:
            row = connection.execute(query.order_by(flows.c.id.desc()).limit(1)).one_or_none()
        if row is not None:
            ring.open_data_key(row.uid, row.data_key)
    except (WrongKey, Unreadable) as error:
        return str(error)
    return None


def _damage(database: Database) -> Sequence[str]:
    try:
        with database.reading() as connection:
            return database.dialect.quick_check(connection, _MOST)
    except DatabaseUnusable as error:
        return [str(error)]
