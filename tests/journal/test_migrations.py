"""The schema: made by migrations only, on both databases, forward and back."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from holdfast_journal import Actor, DatabaseUnusable, NewerSchema
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import REVISIONS, VERSION_TABLE, metadata
from holdfast_journal.store.upgrading import downgrade, migrations, schema_state, upgrade
from tests.harness.process import Child
from tests.journal.conftest import Journals
from tests.journal.helpers import run

pytestmark = pytest.mark.usefixtures("the_migrations_themselves")


def tables(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(inspect(connection).get_table_names()) - {"sqlite_sequence"}


class TestMigrations:
    def test_up_and_down(self, empty_url: str) -> None:
        """Every migration goes up and down again, and leaves nothing."""
        database = Database.open(empty_url)
        assert schema_state(database) == "empty"
        assert upgrade(database)
        assert schema_state(database) == "current"
        assert not upgrade(database)
        assert tables(database) == {*metadata.tables, "holdfast_version"}
        downgrade(database, "base")
        assert schema_state(database) == "empty"
        assert tables(database) == {"holdfast_version"}
        assert upgrade(database)
        database.close()

    def test_down_with_data(self, url: str, journals: Journals) -> None:
        """The first migration comes off a database in use, and goes on again, empty."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        with ada.taken.journal.process():
            ada.taken.journal.add_task(1, "mint", b"", "key", 0.0)
        ada.event()
        actor = Actor("ada", "here", "command")
        journal.tokens.make("shop", "viewer", None, actor)
        journal.drain(journal.workers()[0].id, act=actor.does("drain"))
        database = Database.open(url)
        downgrade(database, "base")
        upgrade(database)
        database.close()
        again = journals.open(url)
        assert again.overview() == []

    def test_the_migrated_schema_is_the_declared_one(self, empty_url: str) -> None:
        """Migrations and schema.py agree: tables, columns, types, keys and indexes."""
        database = Database.open(empty_url)
        upgrade(database)
        with database.reading() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "compare_type": True,
                    "compare_server_default": True,
                    "version_table": VERSION_TABLE,
                },
            )
            assert compare_metadata(context, metadata) == []
            inspector = inspect(connection)
            for name, table in metadata.tables.items():
                declared = {str(index.name) for index in table.indexes}
                found = {str(index["name"]) for index in inspector.get_indexes(name)}
                unique = {str(c["name"]) for c in inspector.get_unique_constraints(name)}
                assert found - unique == declared
        database.close()

    def test_the_indexes_are_partial(self, empty_url: str) -> None:
        """Those that schema.py declares to be so are, on both databases, and no others."""
        database = Database.open(empty_url)
        upgrade(database)
        kind = "postgresql" if database.dialect.many_writers else "sqlite"
        found, declared = {}, {}
        with database.reading() as connection:
            inspector = inspect(connection)
            for name, table in metadata.tables.items():
                for index in inspector.get_indexes(name):
                    where = index.get("dialect_options", {}).get(f"{kind}_where")
                    if where is not None:
                        found[index["name"]] = str(where).translate(dict.fromkeys(b"()"))
                for each in table.indexes:
                    if (where := each.dialect_options["sqlite"]["where"]) is not None:
                        declared[each.name] = str(where)
        database.close()
        assert found == declared
        assert found["ix_holdfast_flows_unfinished"] == "finished_at IS NULL"

    def test_the_known_revisions_are_those_in_the_folder(self) -> None:
        """REVISIONS lists every migration, in order."""
        config = Config()
        config.set_main_option("script_location", str(migrations()))
        config.set_main_option("path_separator", "os")
        script = ScriptDirectory.from_config(config)
        assert script.get_heads() == [REVISIONS[-1]]
        found = [revision.revision for revision in script.walk_revisions()]
        assert tuple(reversed(found)) == REVISIONS

    def test_a_newer_database(self, url: str, journals: Journals) -> None:
        """A database of a newer release is refused, and left alone."""
        journals.open(url)
        database = Database.open(url)
        with database.writing() as connection:
            connection.execute(text("UPDATE holdfast_version SET version_num = '9999'"))
        before = tables(database)
        with pytest.raises(NewerSchema, match="newer Holdfast"):
            journals.open(url)
        assert schema_state(database) == "newer"
        assert tables(database) == before
        database.close()

    def test_somebody_elses_tables(self, empty_url: str, journals: Journals) -> None:
        """A database in which our names are taken is refused, and left alone."""
        database = Database.open(empty_url)
        with database.writing() as connection:
            connection.execute(text("CREATE TABLE holdfast_tasks (what TEXT)"))
        with pytest.raises(DatabaseUnusable, match=r"another program.*tasks"):
            journals.open(empty_url)
        assert tables(database) == {"holdfast_tasks"}
        database.close()

    def test_the_applications_tables_may_be_there(self, empty_url: str, journals: Journals) -> None:
        """The journal shares a database with other tables."""
        database = Database.open(empty_url)
        with database.writing() as connection:
            connection.execute(text("CREATE TABLE orders (number INTEGER)"))
        database.close()
        assert journals.open(empty_url).overview() == []

    def test_opened_by_several_at_once(self, empty_url: str) -> None:
        """Processes that meet an empty database together upgrade it once, and all can use it."""
        program = (
            "import sys; from holdfast_journal import KeyRing, SqlJournal\n"
            "sys.stdin.readline()\n"
            "SqlJournal.open_inline(sys.argv[1], keys=KeyRing.parse('ab' * 32, 'test')).overview()"
        )
        children = [
            Child([sys.executable, "-c", program, empty_url], stdin=subprocess.PIPE)
            for _ in range(2)
        ]
        for child in children:
            child.write("\n")
        for child in children:
            with child:
                assert child.wait().status == 0, child.describe()

    def test_the_developers_command(self, tmp_path: Path) -> None:
        """`alembic -x db=URL upgrade head` works from a checkout."""
        top = migrations().parent
        url = f"sqlite:///{tmp_path}/journal.db"
        command = [sys.executable, "-m", "alembic", "-x", f"db={url}", "upgrade", "head"]
        subprocess.run(command, cwd=top, check=True, capture_output=True)
        database = Database.open(url)
        assert schema_state(database) == "current"
        database.close()
