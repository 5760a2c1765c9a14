"""The shared options: where values come from, and which are refused."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from holdfast.cli import main, settings


def chosen(*args: str, env: dict[str, str] | None = None) -> Result:
    """Run a command that shows its settings, below the real group's error handling."""

    @click.group(cls=main.LazyCommands, invoke_without_command=True)
    @settings.db_option
    @settings.relay_option
    @settings.appid_option
    def show(db: str, relay: str, appid: str) -> None:
        click.echo(f"{db}\n{relay}\n{appid}")

    clean = {"HOLDFAST_DB": None, "HOLDFAST_RELAY": None, "HOLDFAST_APPID": None}
    return CliRunner().invoke(show, args, env={**clean, **(env or {})})


def test_defaults(tmp_path: Path) -> None:
    """Without any setting: a file in the state directory, the public server, the stock appid."""
    ran = chosen(env={"XDG_STATE_HOME": str(tmp_path)})
    assert ran.stdout.splitlines() == [
        f"sqlite:///{tmp_path}/holdfast/holdfast.db",
        "ws://relay.magic-wormhole.io:4000/v1",
        "lothar.com/wormhole/text-or-file-xfer",
    ]


def test_environment_and_options() -> None:
    """The environment replaces a default, and an option replaces the environment."""
    env = {"HOLDFAST_DB": "/a.db", "HOLDFAST_RELAY": "wss://a/v1", "HOLDFAST_APPID": "a"}
    assert chosen(env=env).stdout.splitlines() == ["sqlite:////a.db", "wss://a/v1", "a"]
    args = ["--db", "postgresql://h/d", "--relay", "ws://[::1]:4000/v1", "--appid", "b"]
    assert chosen(*args, env=env).stdout.splitlines() == [
        "postgresql://h/d",
        "ws://[::1]:4000/v1",
        "b",
    ]


@pytest.mark.parametrize(
    ("path", "url"),
    [("x.db", "{here}/x.db"), ("~/x.db", "{home}/x.db"), ("/tmp/x y.db", "/tmp/x y.db")],
)
def test_a_path_is_an_sqlite_file(
    path: str, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A plain path is taken as an SQLite file, whatever the current directory is later."""
    monkeypatch.chdir(tmp_path)
    expected = url.format(here=tmp_path, home=tmp_path / "home")
    ran = chosen("--db", path, env={"HOME": str(tmp_path / "home")})
    assert ran.stdout.splitlines()[0] == f"sqlite:///{expected}"


RELAYS = {
    "http://host/v1": "--relay: 'http://host/v1' is not a mailbox server's URL",
    "host:4000": "is not a mailbox server's URL, which begins with ws:// or wss://",
    "": "is not a mailbox server's URL",
    "ws://": "names no host",
    "ws://:4000/v1": "names no host",
    "ws://host:0/v1": "--relay: the port must be a number from 1 to 65535",
    "ws://host:65536/v1": "the port must be",
    "ws://host:abc/v1": "the port must be",
    "ws://host:/v1": "the port must be",
    "ws://[::1/v1": "--relay: malformed URL; an example is ws://relay",
    "ws://ho st/v1": "malformed URL",
    "ws://host\n/v1": "malformed URL",
    "ws://host/v1#x": "a part after '#'",
    "ws://me:hunter2@host/v1": "has no user name and no password",
    "http://me:hunter2@host/v1": "has no user name and no password",
    "ws://me:hunter2@host:x/v1": "the port must be",
    "ws://" + "h" * 3000: "malformed URL",
}


@pytest.mark.parametrize("url", RELAYS)
def test_relays_that_are_refused(url: str) -> None:
    """A relay that cannot be one is told in one line, before anything starts."""
    ran = chosen("--relay", url)
    assert ran.exit_code == 2
    assert ran.stderr.startswith("holdfast: --relay: ")
    assert RELAYS[url] in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert "hunter2" not in ran.output


def test_the_variable_at_fault_is_named() -> None:
    """A wrong value from the environment is told under the variable's name."""
    assert "holdfast: HOLDFAST_RELAY: " in chosen(env={"HOLDFAST_RELAY": "x"}).stderr
    assert "holdfast: HOLDFAST_DB: " in chosen(env={"HOLDFAST_DB": "a?b"}).stderr
    assert "holdfast: HOLDFAST_APPID: " in chosen(env={"HOLDFAST_APPID": " "}).stderr


@pytest.mark.parametrize(
    "value", ["", " ", "a\nb", "a\x00b", "x" * 3000, "a?b", "a%20b", "~nobody-here/x"]
)
def test_databases_that_are_refused(value: str) -> None:
    """What is neither a URL nor a path is told in one line."""
    ran = chosen("--db", value)
    assert ran.exit_code == 2
    assert ran.stderr.startswith("holdfast: --db: ")
