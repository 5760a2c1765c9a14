"""Starting a flow for each person of a list: for all of them, or for none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import field, frozen

from holdfast.operating.coding import AskedCode
from holdfast.operating.exchanges import TAHOE
from holdfast.operating.handing import NO_FILES, AskedFiles, file_flow
from holdfast.operating.hooks import NO_HOOKS, AskedHooks
from holdfast.operating.minting import PLACEHOLDER
from holdfast.operating.people import LONGEST_NAME, Person, same_name
from holdfast.operating.printable import is_hidden, quoted
from holdfast.operating.refused import Refused
from holdfast.operating.standing import shown_word

if TYPE_CHECKING:
    from holdfast.flows import Flow
    from holdfast_journal import Actor, ExistingFlow, NewFlow, SqlJournal


class StartedDifferently(Refused):
    """Somebody of that name was started before, with another secret or command."""


@frozen
class Terms:
    """What is the same for all people of a batch.

    Args:
        deadline: in seconds since the epoch.
        mint_timeout: seconds that the command of --mint is given.
        code: what codes they get.
        tor: whether their flows are left to workers that connect through Tor.
        hooks: who is told what.
        files: how those are handed over who get files.
        exchange: the kind of flow that hands out, if it is another one; see
            `holdfast.operating.exchanges`.
    """

    relay: str
    appid: str
    deadline: float | None
    mint_timeout: float
    code: AskedCode = field(factory=AskedCode)
    tor: bool = False
    hooks: AskedHooks = NO_HOOKS
    files: AskedFiles = NO_FILES
    exchange: str | None = None


def check_names(people: Sequence[Person], minting: Sequence[str], source: str) -> None:
    """Refuse names that a command would take for an option."""
    if not any(word.startswith(PLACEHOLDER) for word in minting):
        return
    for person in people:
        if person.name.startswith("-"):
            raise Refused(
                f"{_where(source, person.line)}the name {quoted(person.name)} begins with a hyphen,"
                " and a command would take it for an option"
            )


def checked_batch(name: str) -> str:
    """Return the name of a batch that somebody typed, as it is stored. Raises `Refused`."""
    name = same_name(name)
    if not name or len(name) > LONGEST_NAME or any(map(is_hidden, name)):
        raise Refused("this is not the name of a batch")
    return name


def started_before(
    journal: SqlJournal, batch: str, people: Sequence[Person]
) -> tuple[Sequence[ExistingFlow], Sequence[ExistingFlow]]:
    """Find the flows that these people have already: with the same secrets, and with others.

    To start the first again changes nothing; the others cannot be started.
    """
    secrets = {person.name: person.secret or "" for person in people}
    same: list[ExistingFlow] = []
    others: list[ExistingFlow] = []
    for old in journal.existing(batch, list(secrets)):
        is_same = old.fingerprint == journal.fingerprint("secret", secrets[old.name])
        (same if is_same else others).append(old)
    return same, others


def start_batch(
    journal: SqlJournal,
    batch: str,
    people: Sequence[Person],
    minting: Sequence[str] | None,
    source: str,
    terms: Terms,
    by: Actor,
    *,
    own: bool = True,
) -> int:
    """Start a flow for each person who has none; return how many had one.

    With `own` this process runs them; otherwise any worker does. Raises StartedDifferently
    if a person was started with another secret: then no flow is started, unless that happened at
    this very moment.
    """
    flows = [_flow(journal, batch, person, minting, terms) for person in people]
    lines = {person.name: person.line for person in people}
    fingerprints = {flow.name: flow.fingerprint for flow in flows}

    def refuse_others(existing: Sequence[ExistingFlow]) -> None:
        for old in existing:
            # A minted secret that was collected stays, even if another command mints the next ones.
            matters = minting is None or not old.finished
            if matters and old.fingerprint != fingerprints[old.name]:
                kinds = "secret or file" if terms.files.ways is not None else "secret"
                what = f"another {kinds}" if minting is None else f"another command or {kinds}"
                raise StartedDifferently(
                    f"{_where(source, lines[old.name])}{quoted(old.name)} was started with {what}"
                    f" before (it is {shown_word(old.status)}); --batch NAME begins a new round"
                )

    refuse_others(journal.existing(batch, [person.name for person in people]))
    started = journal.start_flows(batch, flows, own=own, act=by.does("start"))
    refuse_others(started.existing)  # another process may have been quicker
    return len(started.existing)


def _where(source: str, line: int) -> str:
    return f"{source}:{line}: " if line else ""  # not of one that was typed


def _flow(
    journal: SqlJournal,
    batch: str,
    person: Person,
    minting: Sequence[str] | None,
    terms: Terms,
) -> NewFlow:
    from holdfast.flows.document import new_flow

    flow, marks = _flow_and_marks(batch, person, minting, terms)
    return new_flow(
        person.name,
        flow,
        relay=terms.relay,
        appid=terms.appid,
        fingerprint=journal.fingerprint(*marks),
        deadline=terms.deadline,
        tor=terms.tor,
        hooks=terms.hooks.words,
    )


def _flow_and_marks(
    batch: str, person: Person, minting: Sequence[str] | None, terms: Terms
) -> tuple[Flow, tuple[str, ...]]:
    """Return a person's flow, and what makes it the same as another."""
    from holdfast.flows.shipped.provision import Provision
    from holdfast.flows.shipped.tahoe import TahoeInvite

    coding, seconds = terms.code.flow_value(), terms.mint_timeout
    words = None if minting is None else [w.replace(PLACEHOLDER, person.name) for w in minting]
    if person.file is not None or terms.files.minted:
        return file_flow(batch, person, words, seconds, terms.files, coding)
    cls: type[Provision] = TahoeInvite if terms.exchange == TAHOE else Provision
    marks = () if terms.exchange is None else (terms.exchange,)
    if words is not None:
        minted = cls(name=person.name, mint=words, mint_timeout=seconds, coding=coding)
        return minted, (*marks, "mint", *words)
    secret = person.secret or ""
    return cls(name=person.name, secret=secret, coding=coding), (*marks, "secret", secret)
