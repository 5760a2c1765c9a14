"""What a recipient is told: the command, and the address in a QR code."""

import shlex
from urllib.parse import parse_qs, unquote, urlsplit

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wormhole.cli.cli import wormhole

from holdfast.operating.collecting import receive_command, special_command, transfer_uri
from holdfast.operating.refused import Refused
from holdfast.rendezvous import DEFAULT_RELAY
from holdfast.transfer import APPID


@pytest.mark.parametrize(
    ("relay", "uri"),
    [
        (DEFAULT_RELAY, ""),
        ("ws://host:4000/v1", "?rendezvous=ws%3A%2F%2Fhost%3A4000"),
        ("wss://host/v1", "?rendezvous=wss%3A%2F%2Fhost%3A443"),
        ("ws://host/v1", "?rendezvous=ws%3A%2F%2Fhost%3A80"),
        ("wss://host/wormhole/v1", "?rendezvous=wss%3A%2F%2Fhost%3A443%2Fwormhole"),
        ("ws://[::1]:4000/v1", "?rendezvous=ws%3A%2F%2F%5B%3A%3A1%5D%3A4000"),
        ("ws://host:4000/v2", None),
        ("ws://host:4000/v1?x=y", None),
    ],
)
def test_the_address_names_the_server(relay: str, uri: str | None) -> None:
    """Without /v1, with its port, and only if it is not the usual one."""
    if uri is None:
        with pytest.raises(Refused, match="ends with /v1"):
            transfer_uri("7-a-b", relay)
    else:
        assert transfer_uri("7-a-b", relay) == f"wormhole-transfer:7-a-b{uri}"


def test_no_address_for_another_application() -> None:
    """The scheme is that of file transfer."""
    with pytest.raises(Refused, match="application id"):
        transfer_uri("7-a-b", DEFAULT_RELAY, "example.com/other")


@given(
    code=st.text(st.characters(codec="utf-8"), min_size=1),
    host=st.from_regex(r"[a-z]{1,9}", fullmatch=True),
)
def test_any_code_comes_out_again(code: str, host: str) -> None:
    """Whatever is in a code, a parser of addresses finds it, and nothing else."""
    parts = urlsplit(transfer_uri(code, f"ws://{host}:1/v1"))
    assert (parts.scheme, unquote(parts.path)) == ("wormhole-transfer", code)
    assert parse_qs(parts.query) == {"rendezvous": [f"ws://{host}:1"]}


@pytest.mark.parametrize("relay", [DEFAULT_RELAY, "ws://host:4000/v1", "ws://[::1]:4/v1?a=b&c=d"])
@pytest.mark.parametrize("appid", [APPID, "example.com/other app"])
def test_the_stock_client_understands_the_command(relay: str, appid: str) -> None:
    """Its own parser gets the code, the server and the application that were meant."""
    program, *words = shlex.split(receive_command("7-a-b", relay, appid))
    assert program == "wormhole"
    options, rest, _ = wormhole.make_parser(click.Context(wormhole)).parse_args(words)
    assert options.get("relay_url", DEFAULT_RELAY) == relay
    assert options.get("appid", APPID) == appid
    assert rest == ["receive", "7-a-b"]
    special = special_command(relay, appid)
    assert (special is None) == ((relay, appid) == (DEFAULT_RELAY, APPID))
    assert special is None or special.endswith(" receive CODE")
