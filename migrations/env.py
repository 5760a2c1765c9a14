"""How alembic reaches the database.

holdfast_journal.store.upgrading hands over its connection, inside its transaction. A developer's
`alembic` command says which database with `-x db=URL`.
"""

from alembic import context
from sqlalchemy.engine import Connection

from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import VERSION_TABLE, metadata


def run(connection: Connection) -> None:
    # DDL is transactional on SQLite too, because Database keeps the driver from sending BEGIN.
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("db")
    if not isinstance(url, str):
        raise SystemExit("say which database: alembic -x db=URL ...")
    database = Database.open(url)
    with database.writing() as connection:
        run(connection)
    database.close()
