"""Handing out by another protocol than that of `wormhole receive`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from holdfast.operating.collecting import join_grid_command, special_command
from holdfast.operating.lines import place_of
from holdfast.operating.refused import Refused
from holdfast.transfer import APPID

if TYPE_CHECKING:
    from holdfast.operating.handing import AskedFiles
    from holdfast.operating.people import Person

TAHOE: Final = "tahoe-invite"

EXCHANGES: Final = (TAHOE,)
"""The kinds of flows that can hand out in the place of `provision`."""


def appid_of(exchange: str | None, appid: str) -> str:
    """Return the application id under which it meets its peers, unless the user gave another."""
    from holdfast.flows.shipped import tahoe

    return tahoe.APPID if exchange == TAHOE and appid == APPID else appid


def collected_by(exchange: str | None, relay: str, appid: str) -> str | None:
    """Return what people type, with CODE in the place of a code; None if that goes without saying.

    Args:
        exchange: the protocol; None for that of the stock client.
        relay: the mailbox server.
        appid: the application id.
    """
    if exchange == TAHOE:
        return join_grid_command("CODE", relay, appid)
    return special_command(relay, appid)


def check_exchange(
    exchange: str | None, people: Sequence[Person], files: AskedFiles, source: str
) -> None:
    """See that each secret is what the protocol hands out.

    Args:
        exchange: the protocol.
        people: who gets them.
        files: how files are handed over, if anybody gets one.
        source: the people file, for an error's text.

    Raises:
        Refused: what is wrong, and in which line.
    """
    if exchange != TAHOE:
        return
    from holdfast.flows.shipped.tahoe import BadConfiguration, configuration

    if files.ways is not None:
        raise Refused(f"--exchange {TAHOE}: this hands out configurations, and no files")
    place = place_of(source)
    for person in people:
        if person.secret is None:
            continue
        try:
            configuration(person.secret, person.name)
        except BadConfiguration as error:
            words = str(error)
            raise place.failure(person.line, words) if person.line else Refused(words) from None
