"""Starting one of a user's own flows, from wherever somebody types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused
from holdfast.operating.standing import shown_word

if TYPE_CHECKING:
    from collections.abc import Collection

    from holdfast.flows import Flow
    from holdfast.flows.hooks import Hooks
    from holdfast_journal import Actor, NewFlow, SqlJournal


def own_class(kind: str, own: Collection[str]) -> type[Flow]:
    """Return the class of a flow of the user's own. Raises Refused."""
    from holdfast.flows.base import flow_class, kinds

    if kind in own:
        return flow_class(kind)
    if kind in kinds():
        raise Refused(f"{quoted(kind)} is Holdfast's own; see 'holdfast add', 'send' and 'receive'")
    there = ", ".join(quoted(each, 40) for each in sorted(own)[:12])
    raise Refused(
        f"no flow of the kind {quoted(kind)} is in the modules of --flows; there is {there}"
    )


def checked_flow(
    name: str,
    flow: Flow,
    *,
    relay: str,
    appid: str | None,
    deadline: float | None,
    tor: bool = False,
    hooks: Hooks | None = None,
) -> NewFlow:
    """Return the flow as it is to be stored, if it can be stored. Raises Refused."""
    from holdfast.flows.document import new_flow

    try:
        return new_flow(
            name, flow, relay=relay, appid=appid, deadline=deadline, tor=tor, hooks=hooks
        )
    except TypeError as error:  # names types and fields, never a value
        raise Refused(str(error)) from None


def start_one(journal: SqlJournal, batch: str, new: NewFlow, by: Actor) -> bool:
    """Start a flow that any worker may run; return whether the name is new in its batch.

    Raises Refused if the name was started with other fields, or as another kind of flow.
    """
    from attrs import evolve

    from holdfast.flows.document import Params

    params = json.dumps(Params.from_bytes(new.params).params, sort_keys=True)
    new = evolve(new, fingerprint=journal.fingerprint("start", new.kind, params))
    for old in journal.start_flows(batch, [new], act=by.does("start")).existing:
        # A program that starts flows need not give a fingerprint.
        same = old.fingerprint in (None, new.fingerprint)
        if old.kind != new.kind or not same:
            what = f"as {quoted(old.kind)}" if old.kind != new.kind else "with other fields"
            raise Refused(
                f"{quoted(new.name)} was started {what} before (it is {shown_word(old.status)});"
                " --batch NAME begins a new round"
            )
        return False
    return True
