"""What `send` and `receive` share: one flow, the same for the same arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from holdfast.flows import Flow
    from holdfast.flows.hooks import Hooks
    from holdfast_journal import Actor, FlowRow, SqlJournal


NAMES_AT_ONCE = 50
"""How many names are looked up together; the same text is hardly ever sent so often."""


def rows_of(journal: SqlJournal, batch: str, fingerprint: str) -> list[FlowRow]:
    """Return every flow that was started with the same arguments, the first one first."""
    rows: list[FlowRow] = []
    first = 1
    while True:
        names = [_name(fingerprint, number) for number in range(first, first + NAMES_AT_ONCE)]
        found = journal.named(batch, names)
        if not found:
            return rows
        rows += found
        first += NAMES_AT_ONCE


def _name(fingerprint: str, number: int) -> str:
    return f"{fingerprint[:12]}-{number}"


@frozen
class Route:
    """Where a flow meets its peer.

    Args:
        relay: the mailbox server's URL.
        appid: the application's identifier.
        tor: whether the flow is left to workers that connect through Tor.
    """

    relay: str
    appid: str
    tor: bool = False


def start_or_resume(
    journal: SqlJournal,
    batch: str,
    flow: Flow,
    fingerprint: str,
    by: Actor,
    route: Route,
    deadline: float | None = None,
    hooks: Hooks | None = None,
) -> str:
    """Return the name of the unfinished flow with this fingerprint, started now if need be.

    The fingerprint is keyed, so that the name tells nothing about the secret. `deadline` is in
    seconds since the epoch.
    """
    from holdfast.flows.document import new_flow

    rows = rows_of(journal, batch, fingerprint)
    for row in rows:
        if row.finished_at is None:
            return row.name
    # The first of them may have been purged.
    number = int(rows[-1].name.rpartition("-")[2]) + 1 if rows else 1
    name = _name(fingerprint, number)
    new = new_flow(
        name,
        flow,
        relay=route.relay,
        appid=route.appid,
        fingerprint=fingerprint,
        deadline=deadline,
        tor=route.tor,
        hooks=hooks,
    )
    journal.start_flows(batch, [new], own=True, act=by.does("start"))
    return name
