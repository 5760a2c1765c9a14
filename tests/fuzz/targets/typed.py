"""What somebody types: codes, options, addresses, commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from attrs import define
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed

from holdfast import codes
from holdfast.errors import KeyFormatError
from holdfast.flows.shipped.command import _text
from holdfast.flows.tasks import TaskFailed
from holdfast.operating.addresses import checked_relay
from holdfast.operating.durations import parse_duration
from holdfast.operating.minting import parse_command
from holdfast.operating.refused import Refused
from holdfast.rendezvous.relay_url import BadRelayUrl, parse_relay_url
from holdfast.server.address import endpoint
from holdfast.server.errors import AddressUnusable
from holdfast.shell.typing.helper import InputHelper, TypingStage
from holdfast.transfer.text import LONGEST_TEXT
from holdfast_journal import DatabaseUnusable, SqlJournal
from holdfast_journal.store.urls import parse_url
from tests.fuzz.scratch import folder
from tests.fuzz.target import SECRET, expect, target


def _typed(data: bytes) -> str:
    """What the command line, or a terminal, makes of bytes: no NUL, and strange bytes escaped."""
    return os.fsdecode(data.replace(b"\0", b""))


@define
class _Person:
    """The wormhole whose code is being typed."""

    stage: TypingStage = TypingStage.NAMEPLATE
    nameplate: str | None = None
    words: str = ""

    @property
    def typing_stage(self) -> TypingStage:
        return self.stage

    @property
    def chosen_nameplate(self) -> str | None:
        return self.nameplate

    @property
    def wordlist_is_known(self) -> bool:
        return True

    def list_nameplates(self) -> None: ...

    def choose_nameplate(self, nameplate: str) -> None:
        self.nameplate, self.stage = nameplate, TypingStage.WORDS

    def choose_words(self, words: str) -> None:
        self.words, self.stage = words, TypingStage.DONE

    def when_wordlist_is_known(self) -> Deferred[None]:
        return succeed(None)


def _codes() -> Iterator[bytes]:
    yield f"4-purple-{SECRET}".encode()
    yield f"0-{SECRET}".encode()
    yield b"0-"
    yield f"12-{SECRET}-\u00fcber-e\u0301".encode()


@target(KeyFormatError, seeds=_codes, examples=120)
def code(data: bytes) -> None:
    """A code, at once and in its two parts, and what may be completed."""
    typed = data.decode(errors="surrogateescape")
    nameplate, _, words = typed.partition("-")
    person = _Person()
    helper = InputHelper(person)
    helper.got_nameplates(frozenset({"4", "42", "12", "not one"}))
    for found in helper.get_nameplate_completions(typed):
        expect(found.startswith(typed) and codes.is_nameplate(found[:-1]), "no completion")
    for found in codes.word_completions(words[:1000]):
        expect(found.startswith(words[:1000]), "no completion")
    whole = codes.validate(typed)
    expect(codes.validate(whole) == whole, "a code that is another when it is typed again")
    whole.encode()
    if whole != "0-":
        helper.choose_nameplate(nameplate)
        helper.choose_words(words)
        expect(f"{person.nameplate}-{person.words}" == whole, "two codes out of one")


@target(ValueError, seeds=lambda: [b"90s", b"1h30m", b"30d", b"5200w"], quotes=True, examples=60)
def duration(data: bytes) -> None:
    """How long."""
    expect(0 < parse_duration(_typed(data)) < 4e9, "a duration beyond all use")


def _relays() -> Iterator[bytes]:
    yield b"ws://relay.magic-wormhole.io:4000/v1"
    yield b"wss://[::1]:443/a?b=c"
    yield f"ws://ann:{SECRET}@relay.example/v1".encode()
    yield "ws://ex\u00e4mple.org/v1".encode()


@target(seeds=_relays, examples=100)
def relay_url(data: bytes) -> None:
    """A mailbox server's URL: what the command line takes, the connector takes."""
    url = _typed(data)
    hides = SECRET in url.rpartition("@")[0]
    try:
        parse_relay_url(url)
        taken = True
    except BadRelayUrl as error:
        taken = False
        expect(not (hides and SECRET in str(error)), "a password is shown")
    try:
        checked_relay(url, "--relay")
    except Refused as error:
        expect(not (hides and SECRET in str(error)), "a password is shown")
    else:
        expect(taken, "a URL that the command line takes, and nobody else")


def _databases() -> Iterator[bytes]:
    yield b"sqlite:////tmp/x.db"
    yield b"sqlite://"
    yield b"sqlite:///:memory:?cache=shared"
    yield b"sqlite:///x.db?mode=ro&timeout=x"
    yield f"postgresql://ann:{SECRET}@localhost:5432/holdfast?sslmode=require".encode()


@target(DatabaseUnusable, seeds=_databases, examples=60)
def database_url(data: bytes) -> None:
    """A database's URL: SQLite files are opened, in a folder of ours; nothing is dialled."""
    text = _typed(data)
    url = parse_url(text)
    if url.get_backend_name() == "postgresql":
        from holdfast_journal.store.postgresql import postgresql_engine

        postgresql_engine(url, 0.1).dispose()
        return
    made = url
    if made.database and made.database != ":memory:":
        made = made.set(database=str(folder() / "typed.db"))
    journal = SqlJournal.open_inline(made.render_as_string(hide_password=False), environ={})
    journal.close()


@target(
    Refused,
    seeds=lambda: [b"sh -c 'echo {name}'", b'/bin/cat "a b" {name}', b"true \\\n x"],
    quotes=True,
    examples=60,
)
def mint(data: bytes) -> None:
    """The command line of --mint."""
    words = parse_command(_typed(data))
    expect(words and os.path.isabs(words[0]), "a program that depends on where we are")  # noqa: PTH117


@target(TaskFailed, seeds=lambda: [SECRET.encode() + b"\n", b"\r\n", b"\xff"], examples=60)
def minted(data: bytes) -> None:
    """What a command of --mint prints."""
    expect(0 < len(_text(data).encode()) <= LONGEST_TEXT, "a credential of another length")


def _listens() -> Iterator[bytes]:
    yield b"127.0.0.1:4000"
    yield b"[::1]:4000"
    yield b"tcp:4000:interface=127.0.0.1"
    yield b"unix:/run/mailbox.sock:mode=660"


@target(AddressUnusable, seeds=_listens, quotes=True, examples=40)
def listen(data: bytes) -> None:
    """Where `holdfast mailbox` listens; nothing listens yet."""
    made: Any = endpoint(reactor, _typed(data))
    expect(hasattr(made, "listen"), "no endpoint")
