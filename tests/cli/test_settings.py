"""The shared options: where values come from, and which are refused."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from holdfast.cli import main, settings
from holdfast.operating.addresses import TransitRelay


def chosen(*args: str, env: dict[str, str] | None = None) -> Result:
    """Run a command that shows its settings, below the real group's error handling."""

    @click.group(cls=main.LazyCommands, invoke_without_command=True)
    @settings.db_option
    @settings.relay_option
    @settings.appid_option
    def show(db: str, relay: str, appid: str) -> None:
        click.echo(f"{db}\n{relay}\n{appid}")

    names = ("HOLDFAST_DB", "HOLDFAST_RELAY", "HOLDFAST_APPID", "WORMHOLE_RELAY_URL")
    clean = dict.fromkeys(names)
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
    assert "holdfast: WORMHOLE_RELAY_URL: " in chosen(env={"WORMHOLE_RELAY_URL": "x"}).stderr
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


@pytest.mark.parametrize(("ours", "asked"), [(None, "wss://stock/"), ("", "wss://stock/")])
def test_the_stock_clients_variable_comes_second(ours: str | None, asked: str) -> None:
    """Who has set up the stock client need not do so again; what is ours comes first."""
    env = {"WORMHOLE_RELAY_URL": "wss://stock/"}
    assert (
        chosen(env={**env, "HOLDFAST_RELAY": "ws://ours/"}).stdout.splitlines()[1] == "ws://ours/"
    )
    given = env if ours is None else {**env, "HOLDFAST_RELAY": ours}
    assert chosen(env=given).stdout.splitlines()[1] == asked


def transit(*args: str, value: str | None = None, stocks: str | None = None) -> Result:
    """Run a command that shows its transit relay."""

    @click.group(cls=main.LazyCommands, invoke_without_command=True)
    @settings.transit_option
    def show(transit: TransitRelay | None) -> None:
        click.echo("none" if transit is None else f"{transit.host} {transit.port}")

    env = {"HOLDFAST_TRANSIT": value, "WORMHOLE_TRANSIT_HELPER": stocks}
    return CliRunner().invoke(show, args, env=env)


def test_the_transit_relay() -> None:
    """By default it is the public one; the environment and an option say otherwise."""
    assert transit().stdout == "transit.magic-wormhole.io 4001\n"
    assert transit(value="tcp:a:1").stdout == "a 1\n"
    assert transit("--transit", "b:2", value="tcp:a:1").stdout == "b 2\n"
    assert transit("--transit", "b:2", value="").stdout == "b 2\n"
    assert transit(stocks="tcp:s:3").stdout == "s 3\n"
    assert transit(value="tcp:a:1", stocks="tcp:s:3").stdout == "a 1\n"
    assert transit(value="", stocks="tcp:s:3").stdout == "none\n"
    assert "holdfast: WORMHOLE_TRANSIT_HELPER: " in transit(stocks="udp:x:1").stderr


@pytest.mark.parametrize("value", ["", "none", " None "])
def test_no_transit_relay(value: str) -> None:
    """There need not be one."""
    assert transit("--transit", value).stdout == "none\n"
    assert transit(value=value).stdout == "none\n"


@pytest.mark.parametrize(
    ("value", "shows"),
    [
        ("tcp:relay.example.com:4001", "relay.example.com 4001"),
        ("relay.example.com:65535", "relay.example.com 65535"),
        ("tcp:127.0.0.1:4001", "127.0.0.1 4001"),
        ("tcp:[2001:DB8:0::1]:4001", "2001:db8::1 4001"),
        ("[::1]:1", "::1 1"),
        (" tcp:h:7 ", "h 7"),
    ],
)
def test_ways_to_write_a_transit_relay(value: str, shows: str) -> None:
    """With `tcp:` or without, by name or by address."""
    assert transit("--transit", value).stdout == f"{shows}\n"


TRANSITS = {
    "tcp:host": "is not a transit relay, which is written tcp:HOST:PORT",
    "host": "is not a transit relay",
    "::1:4001": "an IPv6 address stands in brackets",
    "tcp::4001": "is not a transit relay",
    "ws://host:4001/": "is not a transit relay",
    "udp:host:4001": "is not a transit relay",
    "tcp:me@host:4001": "is not a transit relay",
    "tcp:ho st:4001": "is not a transit relay",
    "tcp:h\nost:4001": "is not a transit relay",
    "tcp:host:123456": "is not a transit relay",
    "tcp:host:\u0661": "is not a transit relay",
    "tcp:" + "h" * 3000 + ":1": "is not a transit relay",
    "tcp:host:0": "the port must be a number from 1 to 65535",
    "tcp:host:65536": "the port must be a number from 1 to 65535",
    "tcp:[::1::2]:4001": "what is in brackets is not an IPv6 address",
    "tcp:[127.0.0.1]:4001": "what is in brackets is not an IPv6 address",
}


@pytest.mark.parametrize("value", TRANSITS)
def test_transit_relays_that_are_refused(value: str) -> None:
    """What is none is told in one short line, under the option's or the variable's name."""
    ran = transit("--transit", value)
    assert ran.exit_code == 2
    assert ran.stderr.startswith("holdfast: --transit: ")
    assert TRANSITS[value] in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert len(ran.stderr) < 400
    assert transit(value=value).stderr.startswith("holdfast: HOLDFAST_TRANSIT: ")
