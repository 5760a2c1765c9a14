"""The wheel: what a user installs, with no checkout near it."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the build backend of this environment, so without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in an empty environment; return that environment's interpreter."""
    folder = tmp_path_factory.mktemp("empty") / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    options = ("--no-index", "--no-deps", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    # The dependencies are those of the environment that runs the tests: fetching them again
    # would take a minute and a network. A folder that a .pth file names is only appended to
    # sys.path: .pth files inside it are not read, so the one through which this checkout is
    # installed there has no effect, and the wheel's packages come first in any case.
    [site_packages] = folder.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command to its end, which must be good; return its standard output."""
    done = subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_holds_two_packages_and_nothing_else(wheel: Path) -> None:
    """No top-level name lands in a user's environment but our two packages."""
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "holdfast",
        "holdfast_journal",
    }


def test_holds_what_the_console_serves(wheel: Path) -> None:
    """Templates, style sheets, scripts and their licences are in it."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("static", "templates"):
        source = ROOT / "engine/holdfast/console" / folder
        assert {f"holdfast/console/{folder}/{path.name}" for path in source.iterdir()} <= names


def test_holds_every_migration(wheel: Path) -> None:
    """All migrations of the checkout are in it, and both packages say that they are typed."""
    names = set(zipfile.ZipFile(wheel).namelist())
    versions = {path.name for path in (ROOT / "migrations" / "versions").glob("*.py")}
    assert versions
    assert {f"holdfast_journal/migrations/versions/{name}" for name in versions} <= names
    assert "holdfast_journal/migrations/env.py" in names
    assert {"holdfast/py.typed", "holdfast_journal/py.typed"} <= names


def test_holds_nothing_that_was_only_lying_about(wheel: Path) -> None:
    """No compiled file, key or database of the checkout is in it."""
    strays = (".pyc", ".db", ".sqlite", ".key", ".db-wal")
    assert not [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(strays)]


def test_makes_and_upgrades_its_database(python: Path, tmp_path: Path) -> None:
    """Installed, it makes its schema from nothing, knows it as current, and needs no second run."""
    program = """
import pathlib, sys
import holdfast, holdfast_journal
for package in (holdfast, holdfast_journal):
    assert pathlib.Path(package.__file__).is_relative_to(sys.prefix), package.__file__
from holdfast_journal.store.database import Database
from holdfast_journal.store.upgrading import downgrade, migrations, schema_state, upgrade
assert migrations().is_relative_to(sys.prefix)
database = Database.open("sqlite:///journal.db")
print(schema_state(database), upgrade(database), schema_state(database), upgrade(database))
downgrade(database, "base")
print(schema_state(database), upgrade(database), schema_state(database))
database.close()
"""
    said = run(python, "-I", "-c", program, cwd=tmp_path)
    assert said == "empty True current False\nempty True current\n"


def test_the_command_is_there(python: Path, tmp_path: Path) -> None:
    """The console script runs and knows its version from the installed metadata."""
    version = run(python.with_name("holdfast"), "--version", cwd=tmp_path)
    metadata = "from importlib.metadata import version; print(version('holdfast-wormhole'))"
    assert version.split()[-1] == run(python, "-I", "-c", metadata).strip()
