"""Checking what a flow is resumed from: that it loads, and that its history leads to it.

Flows are resumed from their checkpoints, never by replaying; the history is complete enough to
replay the core all the same, and to compare.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.core import checkpoint as wormhole_checkpoint
from holdfast.core import events as ev
from holdfast.core.codec import code_of, from_json
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Allocate, Claim, Frame
from holdfast.core.parts import PARTS
from holdfast.errors import BadCheckpoint, WormholeError
from holdfast.flows import document
from holdfast.flows.base import UnknownFlow, flow_class, kinds
from holdfast.flows.engine.runner import REOPENED
from holdfast.flows.tasks import kind_of
from holdfast.shell import dilating
from holdfast_journal.doctor import BACKUP, RESTORE, Examined, OpenedEntry

_SAID: Final[Mapping[str, Frame]] = {"allocate": Allocate(), "claim": Claim("")}
"""The frames that change a state when they are said, by their codes in the journal."""

_SAID_IN_WORDS: Final[Mapping[str, Frame]] = {
    "allocate a nameplate": Allocate(),
    "claim the nameplate": Claim(""),
}
"""The same as the first release wrote them: in words for people, and nowhere else."""


_COMPARED: Final = (*PARTS, "welcome", "dilation", "can_dilate")
"""What a history must lead to."""


class _Impossible(Exception):
    """The history cannot have happened; the argument says why, in words without a secret."""


def check_flow(flow: Examined) -> None:
    """Add to `flow` what is wrong with its parameters, its checkpoint and its history."""
    _check_params(flow)
    for name in sorted({name for name in flow.tasks if kind_of(name) is None}):
        if flow.kind in kinds() and name in flow_class(flow.kind).tasks_of_its_command:
            continue  # the command that began it does this, when it is started again
        what = f"no function is known here for its task {name!r}"
        flow.found("task", what, "--flows names the module that defines it", hint=True)
    if not flow.checkpoint:
        _check_missing(flow)
        return
    try:
        state = document.Checkpoint.from_bytes(flow.checkpoint)
        saved = wormhole_checkpoint.load(state.wormhole)
        _check_dilation(saved)
    except BadCheckpoint as error:
        flow.found("checkpoint", str(error), RESTORE)
        return
    if not flow.finished:
        _check_data(flow, state)
        if flow.published is not None and flow.published != state.published:
            flow.found("checkpoint", "what it shows is not what it published", BACKUP)
    try:
        different = _different_parts(saved.exchange, flow)
    except _Impossible as impossible:
        flow.found("replay", f"its history cannot be replayed: {impossible}", BACKUP)
        return
    if different:
        parts = ", ".join(different)
        flow.found("replay", f"its history does not lead to its checkpoint ({parts})", BACKUP)


def _check_dilation(saved: wormhole_checkpoint.SavedWormhole) -> None:
    """See that what its subchannels need is there; their records are in no history.

    Raises:
        BadCheckpoint: it is damaged.
    """
    if saved.dilation is not None:
        dilating.check(saved.dilation)
    elif saved.exchange.inbox.data.dilated:
        raise BadCheckpoint("the saved wormhole is damaged: its dilation is not there")


def _check_params(flow: Examined) -> None:
    if flow.params is None:
        return
    try:
        document.Params.from_bytes(flow.params)
    except BadCheckpoint as error:
        flow.found("checkpoint", f"its parameters do not load: {error}", RESTORE)


def _check_missing(flow: Examined) -> None:
    """A flow has no checkpoint before its first event, nor after it was set aside there."""
    unsealed = not any(each.check in ("seal", "key") for each in flow.findings)
    if flow.attempt and not flow.finished and not flow.shredded and unsealed:
        flow.found("checkpoint", "it has begun, and has no checkpoint", RESTORE)


def _check_data(flow: Examined, state: document.Checkpoint) -> None:
    """Load the flow's own fields, as the next worker will."""
    where = "'holdfast retry' is possible once it is cancelled"
    try:
        document.restore(flow.kind, state.data)
    except UnknownFlow as error:
        flow.found("kind", str(error), "--flows names the module that defines it", hint=True)
    except WormholeError as error:
        flow.found("checkpoint", str(error), f"run the release that wrote it; {where}")
    except Exception as error:  # noqa: BLE001 - whatever the flow's own class raised; it is reported
        what = f"its class cannot be made: {type(error).__name__}"
        flow.found("checkpoint", what, "correct the class")


def _different_parts(saved: Exchange, flow: Examined) -> list[str]:
    """Let it all happen again, and name the parts that end differently.

    Raises:
        _Impossible: it cannot have happened.
    """
    entries = _of_its_wormhole(flow.attempt)
    if any(entry.event is None for entry in entries):
        return []  # there is a finding about that
    if [entry.seq for entry in entries] != _run_of(entries):
        return []  # and about that
    exchange = Exchange(saved.appid, saved.side, saved.versions)
    exchange.talk.dilation = saved.talk.dilation  # whether from the beginning or a little later
    for entry in entries:
        _replay(exchange, entry)
    said = _said(saved, {} if flow.finished else flow.messages)
    replayed = _said(exchange, {})
    ours, theirs = exchange.serialize(), saved.serialize()
    different = [name for name in _COMPARED if ours[name] != theirs[name]]
    asked_for = not flow.finished and saved.outbox.state != "shut"
    if said is not None and asked_for and said != replayed:
        different.append("messages")
    return different


def _said(exchange: Exchange, kept: Mapping[int, bytes] | None) -> Mapping[int, bytes] | None:
    """Take what was said out of `exchange`, together with what was `kept` apart; None if unknown.

    A flow that is over keeps nothing apart.
    """
    taken = dict(exchange.outbox.data.take_shown())
    return None if kept is None else {**kept, **taken}


def _of_its_wormhole(entries: Sequence[OpenedEntry]) -> Sequence[OpenedEntry]:
    """Return the entries of the present wormhole: the others began and ended without a trace."""
    for place in range(len(entries) - 1, -1, -1):
        if entries[place].kind == REOPENED:
            return entries[place:]
    return entries


def _run_of(entries: Sequence[OpenedEntry]) -> list[int]:
    first = entries[0].seq if entries else 0
    return list(range(first, first + len(entries)))


def _replay(exchange: Exchange, entry: OpenedEntry) -> None:
    body = _body(entry)
    said = _SAID_IN_WORDS
    words: object = entry.said
    if "said" in body:
        said, words = _SAID, body["said"]
    if "event" in body:
        event, seed = _event(entry, body)
        try:
            exchange.apply(event, seed)
        except Exception as error:  # noqa: BLE001 - the core raises all kinds of them then
            raise _Impossible(f"entry {entry.seq}, {type(error).__name__}") from None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _Impossible(f"entry {entry.seq} cannot be read")
    try:
        exchange.saying([said[word] for word in words if word in said])
    except Exception as error:  # noqa: BLE001 - as above
        raise _Impossible(f"entry {entry.seq}, {type(error).__name__}") from None


def _body(entry: OpenedEntry) -> dict[str, object]:
    """Return what was sealed with an entry; nothing with those of the flow itself."""
    if not entry.event:
        return {}
    try:
        body = json.loads(entry.event)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _Impossible(f"entry {entry.seq} cannot be read")
    return body


def _event(entry: OpenedEntry, body: Mapping[str, object]) -> tuple[ev.Event, bytes]:
    try:
        event = from_json(body["event"])
        seed = bytes.fromhex(str(body["seed"]))
    except (BadCheckpoint, ValueError, KeyError):
        raise _Impossible(f"entry {entry.seq} cannot be read") from None
    if not isinstance(event, ev.Event) or len(seed) != 32 or code_of(event) != entry.kind:
        raise _Impossible(f"entry {entry.seq} is not what it is called")
    return event, seed
