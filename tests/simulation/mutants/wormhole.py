"""Mutants of the core and its shell: what a wormhole says, hears and remembers."""

from __future__ import annotations

import os
from typing import Any

from attrs import evolve

from holdfast.core import checkpoint, describe
from holdfast.core import events as ev
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Add, CloseMailbox, Release
from holdfast.core.inbox import Inbox
from holdfast.core.meeting import Meeting
from holdfast.core.talk import Talk
from holdfast.core.wanted import Said
from holdfast.crypto import phase_key, seal, unseal
from holdfast.shell import happening
from holdfast.shell.contact import Contact
from holdfast.shell.wormhole import DelegatedWormhole
from tests.simulation.mutants.mutant import Patches, mutant


def _forgetting(patches: Patches, part: str, **values: object) -> None:
    """Save something else than what is there."""

    def make(real: Any) -> Any:
        def saved(self: Any) -> Any:
            document = real(self)
            data = document["exchange"][part]["data"]
            for name, value in values.items():
                assert type(data[name]) is type(value)
                data[name] = value
            return document

        return saved

    patches.wrap(DelegatedWormhole, "_saved", make)


def _ignoring(patches: Patches, ignored: Any) -> None:
    """Take no notice of some events."""

    def make(real: Any) -> Any:
        def apply(self: Any, event: ev.Event, seed: bytes) -> Any:
            return None if ignored(self, event) else real(self, event, seed)

        return apply

    patches.wrap(Exchange, "apply", make)


@mutant("what the peer says again is not dropped", "it is delivered twice", trouble={"cut": 10.0})
def no_dedupe(patches: Patches) -> None:
    patches.wrap(Inbox, "has", lambda real: lambda self, phase: False)


@mutant("what was processed is not in the checkpoint", "it is delivered again after a crash")
def processed_not_saved(patches: Patches) -> None:
    _forgetting(patches, "inbox", next=0, versions=False)


@mutant(
    "what is sent again is encrypted again",
    "the peer sees two messages under one phase",
    trouble={"cut": 10.0, "death behind a frame": 0.05},
)
def fresh_ciphertext_on_resend(patches: Patches) -> None:
    said: set[tuple[str, str]] = set()

    def again(exchange: Exchange, frame: Any) -> Any:
        if not isinstance(frame, Add) or frame.phase == "pake" or exchange.shared_key is None:
            return frame
        if (exchange.side, frame.phase) not in said:
            said.add((exchange.side, frame.phase))
            return frame
        key = phase_key(exchange.shared_key, exchange.side, frame.phase)
        fresh = seal(key, unseal(key, bytes.fromhex(frame.body)), os.urandom(24))
        return evolve(frame, body=fresh.hex())

    def make(real: Any) -> Any:
        return lambda exchange, now: tuple(again(exchange, f) for f in real(exchange, now))

    patches.wrap(happening, "wanted", make)


@mutant(
    "the number of the next message is not saved",
    "two messages are sent under one phase",
    within=60,
    trouble={"death": 10.0, "death behind a frame": 0.05},
    kinds=("chat",),
)
def phase_used_twice(patches: Patches) -> None:
    _forgetting(patches, "outbox", next=0)

    def make(real: Any) -> Any:
        def put(self: Any, phase: str, *args: Any) -> None:
            sent = self.outbox.data.sent
            sent[:] = [each for each in sent if each.phase != phase]
            real(self, phase, *args)

        return put

    patches.wrap(Talk, "_put", make)


@mutant("the mailbox is closed before the nameplate is released", "the peer is cut off for ever")
def closed_before_release(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def wanted(exchange: Any, said: Any) -> Any:
            frames = real(exchange, said)
            mailbox = exchange.mailbox
            if mailbox.state != "closing" or not any(isinstance(f, Release) for f in frames):
                return frames
            return (CloseMailbox(mailbox.data.mailbox, mailbox.data.mood), *frames)

        return wanted

    patches.wrap(happening, "wanted", make)


@mutant(
    "no ping before what the mailbox lacks is added",
    "some peers fail on what comes twice",
    trouble={"cut": 10.0},
)
def no_replay_barrier(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def note(self: Any, frame: Any) -> None:
            real(self, frame)
            self.caught_up = True

        return note

    patches.wrap(Said, "note", make)


@mutant("frames leave in the wrong order", "the server does not understand them")
def frames_in_wrong_order(patches: Patches) -> None:
    patches.wrap(happening, "wanted", lambda real: lambda *args: real(*args)[::-1])


@mutant("our own message, echoed, is not taken for a receipt", "closing waits for ever")
def echo_not_recognised(patches: Patches) -> None:
    _ignoring(
        patches,
        lambda exchange, event: (
            isinstance(event, ev.MessageArrived) and event.side == exchange.side
        ),
    )


@mutant("what waits to be heard with something else is forgotten", "closing waits for ever")
def unheard_forgotten(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def take_unheard(self: Any) -> Any:
            real(self)
            return ()

        return take_unheard

    patches.wrap(Contact, "take_unheard", make)


@mutant("a claim is sent before it is noted", "after a crash the nameplate is never released")
def claim_not_noted(patches: Patches) -> None:
    patches.wrap(Exchange, "saying", lambda real: lambda self, frames: False)


@mutant("a resumed wormhole has a new side", "it meets itself, and crowds its own mailbox")
def new_side_after_restart(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def load(document: Any) -> Any:
            saved = real(document)
            saved.exchange.side = saved.exchange.talk.side = os.urandom(5).hex()
            return saved

        return load

    patches.wrap(checkpoint, "load", make)


@mutant(
    "a nameplate is taken that may be somebody else's by now",
    "a stranger is disturbed",
    trouble={"server forgets": 3.0, "stranger": 60.0},
    peers=("nobody",),
)
def stranger_nameplate_taken(patches: Patches) -> None:
    patches.wrap(Meeting, "absent", lambda real: lambda self, *, well: False)

    def make(real: Any) -> Any:
        def apply(self: Any, event: ev.Event, seed: bytes) -> Any:
            if isinstance(event, ev.NameplateListed):
                event = evolve(event, taken=False)
            return real(self, event, seed)

        return apply

    patches.wrap(Exchange, "apply", make)


@mutant("a code is told as soon as it is known", "people pass on what does not work yet")
def told_before_it_is_good(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def apply(self: Any, event: ev.Event, seed: bytes) -> Any:
            if isinstance(event, ev.AllocateCode | ev.SetCode):
                event = evolve(event, discreet=False)
            return real(self, event, seed)

        return apply

    patches.wrap(Exchange, "apply", make)


@mutant("the words of the history quote the code", "who reads the database has it")
def history_quotes(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def heard(event: ev.Event, side: str) -> str:
            if isinstance(event, ev.SetCode):
                return f"application: the code {event.code}"
            if isinstance(event, ev.SendMessage):
                return f"application: send {event.plaintext!r}"
            return str(real(event, side))

        return heard

    patches.wrap(describe, "heard", make)
