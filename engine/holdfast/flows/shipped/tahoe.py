"""Invitations to a Tahoe-LAFS grid: the inviter's side of `tahoe create-client --join CODE`.

Sources: Tahoe-LAFS, docs/magic-wormhole-invites.rst, "Tahoe-LAFS Secret Exchange"; the names of the
numbers of shares are those that its programs say and read (1.20), which the document has without
`shares-`. Both are said.

Both sides say at once what they are able to do. The inviter goes on if the other side says that it
is a client, says the configuration, and leaves: there is no receipt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import field

from holdfast.core.messages import parse_json_object
from holdfast.flows.base import flow
from holdfast.flows.shipped.provision import Provision

APPID: Final = "tahoe-lafs.org/invite"
"""The application id of `tahoe invite`."""

SERVER: Final = "server-v1"
CLIENT: Final = "client-v1"

SHARES: Final[Mapping[str, int]] = {"needed": 3, "happy": 7, "total": 10}
"""What a client does unless it is told otherwise. It asks for all three."""

MOST_SHARES: Final = 256
LONGEST: Final = 4096
"""Characters of an introducer or a nickname."""


class BadConfiguration(ValueError):
    """A client of the grid could not use it; the words quote nothing of it."""


def configuration(text: str, nickname: str) -> dict[str, Any]:
    """Return what a client is told.

    Args:
        text: a JSON object with `introducer`, and perhaps `nickname`, `shares-needed`,
            `shares-happy` and `shares-total`.
        nickname: for a client whose object has none.

    Raises:
        BadConfiguration: it is something else.
    """
    try:
        given = parse_json_object(text.encode("utf-8", "surrogatepass"), "the configuration")
    except ValueError as error:
        raise BadConfiguration(str(error)) from None
    told: dict[str, Any] = {
        "introducer": _line(given, "introducer", None),
        "nickname": _line(given, "nickname", nickname),
    }
    shares = {name: _number(given, f"shares-{name}", usual) for name, usual in SHARES.items()}
    if not shares["needed"] <= shares["happy"] <= shares["total"]:
        raise BadConfiguration("shares-needed, -happy and -total of the configuration do not rise")
    for name, number in shares.items():
        told[name] = told[f"shares-{name}"] = number
    if not told["introducer"].startswith("pb://"):
        raise BadConfiguration("the introducer of the configuration does not begin with pb://")
    return told


def _line(given: Mapping[str, Any], key: str, usual: str | None) -> str:
    value = given.get(key, usual)
    if not isinstance(value, str) or not value or len(value) > LONGEST or not value.isprintable():
        raise BadConfiguration(f"the configuration has no usable {key}")
    return value


def _number(given: Mapping[str, Any], key: str, usual: int) -> int:
    value = given.get(key, usual)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4:
        value = int(value)  # as in tahoe.cfg
    if type(value) is not int or not 1 <= value <= MOST_SHARES:
        raise BadConfiguration(f"{key} of the configuration is not a number from 1 to 256")
    return value


@flow("tahoe-invite", appid=APPID)
class TahoeInvite(Provision):
    """One person's client of a grid.

    Args:
        name: whom it is for, and the client's nickname unless `secret` has another.
        secret: the configuration; see `configuration`.
        mint: or the command that prints it.
        mint_timeout: seconds that the command may take.
        coding: what code it gets.
    """

    introduced: bool = field(default=False, init=False)
    """Whether the other side has said what it is."""

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        """Somebody is there and has proved the code: say what we are."""
        self.wormhole.send_message(json.dumps({"abilities": {SERVER: {}}}).encode())

    def wormhole_got_message(self, message: bytes) -> None:
        """The other side says what it is; what else it says is not needed."""
        if self.introduced:
            return
        self.introduced = True
        try:
            said = parse_json_object(message, "what the other side says of itself")
        except ValueError as error:
            self.fail(str(error))
            return
        abilities = said.get("abilities")
        if not isinstance(abilities, dict) or CLIENT not in abilities:
            self.fail(f"the other side does not say that it is a client ({CLIENT})")
        else:
            self.make_and_hand_over()

    def hand_over(self, secret: str) -> None:
        """Say the configuration, and leave."""
        try:
            told = configuration(secret, self.name)
        except BadConfiguration as error:
            self.fail(str(error))
            return
        self.offered = True
        self.publish(sent=self.now())
        self.wormhole.send_message(json.dumps(told).encode())
        self.finish()

    def mint_failed(self, reason: str) -> None:
        """There is no configuration, after all tries; the protocol has no word for that."""
        self.fail(f"mint: {reason}")
