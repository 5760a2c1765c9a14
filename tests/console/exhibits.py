"""A database with everything in it that pages can show: to look at them, and for pictures."""

import time
from collections.abc import Sequence
from typing import Final

from holdfast.flows.document import Params
from holdfast.operating import checkups
from holdfast_journal import INTERRUPTED, Actor, NewFlow, SqlJournal, TakenFlow
from holdfast_journal.doctor import RESTORE, Finding
from tests.cli.journals import move

MARKUP: Final = '<script>alert("1")</script><img src=x onerror=alert(2)>'
LONG: Final = "maximiliane-josephine-von-und-zu-hohenstein-langenfeld@accounts.example.com"

FIRST: Final = ("ada", "alan", "barbara", "claude", "donald", "edith", "frances", "grace")
LAST: Final = ("adams", "baker", "clarke", "doyle", "evans", "fisher", "grant", "hughes")

FAILED: Final = "winter-2025"
"""A batch of which everything has failed."""
MANY: Final = 50

ENDINGS: Final[Sequence[tuple[str, str]]] = [
    ("scared", "somebody used a wrong code"),
    ("crowded", "a third party entered the mailbox"),
    ("code lost", "the mailbox server has forgotten the code"),
    ("failed", "the mint command's exit status was 3"),
    ("cancelled", ""),
    ("expired", "it was not collected before its deadline"),
]

ADA: Final = Actor("ada", "ops-1", "command", "they asked for it by telephone")
SHOP: Final = Actor("shop", "192.0.2.7", "api")


def new(names: Sequence[str]) -> list[NewFlow]:
    """Flows that could be run."""
    params = Params("ws://relay", "appid", {}).to_bytes()
    return [NewFlow(each, "provision", params) for each in names]


def fill(journal: SqlJournal, markup: str = MARKUP, batch: str = "<b>autumn</b>") -> None:
    """Put some hundred flows into an empty database: in every status, with tasks and deeds.

    One flow, one batch and some reasons are called what `markup` and `batch` say.
    """
    people = [f"{first}.{last}@example.com" for first in FIRST for last in LAST]
    journal.start_flows("spring-2026", new([*people, LONG, markup]), act=SHOP.does("start"))
    journal.start_flows(batch, new(["eve", "mallory"]), act=ADA.does("start"))
    journal.start_flows(FAILED, new([f"guest-{n:02}@example.org" for n in range(MANY)]))
    for flow in journal.take(batch=FAILED):
        move(flow, "failed", finished=True, reason="the mint command's exit status was 1")
    flows = {flow.name: flow for flow in journal.take()}
    for number, name in enumerate(people):
        _move(flows[name], number)
    move(flows[LONG], "exchanging", code="7-guitar-revenge")
    _add_tasks(flows, people, markup)
    move(flows[markup], "failed", finished=True, reason=markup)
    move(flows["eve"], "exchanging", code="8-guitar-revenge")
    journal.tell("the mailbox server wss://mailbox.example/v1 cannot be reached")
    _do(journal, markup, batch)


def _move(flow: TakenFlow, number: int) -> None:
    status, reason = ENDINGS[number // 8 % len(ENDINGS)]
    match number % 8:
        case 0:
            move(flow, status, finished=True, reason=reason)
        case 1 | 2 | 3:
            move(flow, "done", finished=True, shred=True)
        case 4:
            move(flow, "exchanging", code=f"{number}-guitar-revenge")
        case 5 | 6:
            move(flow, "waiting", code=f"{number}-guitar-revenge")


def _add_tasks(flows: dict[str, TakenFlow], people: Sequence[str], markup: str) -> None:
    now = time.time()
    said = [
        (5, "connection refused by https://vault.example:8200", now + 3600),
        (3, f"the command's exit status was 3: {markup}", now + 90),
        (1, INTERRUPTED, 0.0),
        (0, "", 0.0),
        (0, "", now + 30),
    ]
    for name, (tries, error, due_at) in zip([*people[4::8], LONG], said * 3, strict=False):
        own = flows[name].journal
        with own.process():
            own.record("task", heard=f"task mint: try {tries}", said=(), event=b"")
            own.add_task(1, "mint", b"arguments", f"key of {name}", due_at, tries, error)


def _do(journal: SqlJournal, markup: str, batch: str) -> None:
    """What operators have done."""
    somebody = journal.overview()
    journal.note(ADA.does("login", "by the one-time address"))
    for flow in somebody[:40]:
        journal.note(ADA.does("code shown"), flow.id)
    journal.tokens.make(f"night shift, {batch}", "operator", None, ADA)
    findings = [
        Finding("lease", "flows wait for a process (2)", "start 'holdfast run'", "x", hint=True),
        Finding("replay", "its checkpoint does not fit its history", RESTORE, batch, markup),
    ]
    checkups.note(journal, "checked 100 flows: 1 problem", findings)
