"""`holdfast provision`: one flow for each person in a file, started once, finished once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from holdfast.cli import say
from holdfast.cli.channel import log_format_option
from holdfast.cli.coding import code_options
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.hooking import hook_options
from holdfast.cli.lettering import letter_options
from holdfast.cli.limiting import limit_options
from holdfast.cli.peopling import AskedPeople, exchange_option, people_options, warn_of_readers
from holdfast.cli.settings import (
    appid_option,
    connections_option,
    db_option,
    deadline_option,
    relay_option,
    retain_option,
)
from holdfast.cli.telemetry import http_option
from holdfast.cli.tor import AskedTor, tor_options
from holdfast.operating.batches import Terms, check_names, start_batch

if TYPE_CHECKING:
    from holdfast.cli.lettering import AskedLetters
    from holdfast.operating.coding import AskedCode
    from holdfast.operating.hooks import AskedHooks
    from holdfast.operating.sharing import Limits


@click.command()
@click.argument("source", metavar="PEOPLE")
@people_options
@exchange_option
@click.option(
    "--codes",
    metavar="FILE",
    help="Write the codes to this CSV file as they come, instead of printing them; - prints them.",
)
@click.option("--qr", is_flag=True, help="On a terminal, show each code as a QR code too.")
@letter_options
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    metavar="DURATION",
    help="Stop after this long at the latest: 90s, 8h, 1h30m, 30d.",
)
@code_options
@hook_options
@deadline_option
@connections_option
@retain_option
@http_option
@log_format_option
@limit_options
@tor_options
@db_option
@relay_option
@appid_option
def command(
    source: str,
    people: AskedPeople,
    exchange: str | None,
    batch: str,
    codes: str | None,
    qr: bool,
    letters: AskedLetters | None,
    seconds: float | None,
    code: AskedCode,
    hooks: AskedHooks,
    deadline: float | None,
    connections: int,
    retain: float | None,
    http: str | None,
    limits: Limits,
    tor: AskedTor,
    db: str,
    relay: str,
    appid: str,
) -> None:
    """Give each person in a file their secret, or a file.

    Each person gets it once, through a wormhole code of their own. PEOPLE is a CSV file with a
    header, or JSON lines; '-' is standard input. Whoever has a path in the column 'file' gets that
    file or folder. Each person collects with any Magic-Wormhole
    client: 'wormhole receive CODE'. After a crash or Ctrl-C, start the same command again: it
    continues where it was, and never starts the same name twice.

    Exit status: 0 if everyone has collected, 1 if not, 2 if nothing was started. If output cannot
    be written, the flows continue; 'holdfast status --codes' shows the codes.
    """
    from holdfast.cli.codes_given import CodesGiven
    from holdfast.cli.pictures import pictures_of
    from holdfast.cli.progress import Progress
    from holdfast.cli.serving import serving
    from holdfast.cli.status_line import StatusLine
    from holdfast.operating.audit import operator
    from holdfast.operating.codes_file import CodesFile
    from holdfast.operating.codes_in_use import check_codes_in_use
    from holdfast.operating.exchanges import appid_of, check_exchange, collected_by
    from holdfast.operating.exposure import when_all_have_codes
    from holdfast.operating.kept import Kept
    from holdfast.operating.letters import LettersOfCodes
    from holdfast.operating.qr import require_qr
    from holdfast.operating.service import Work

    place: Path | Literal["-"] = "-" if source == "-" else Path(source)
    persons, minting = people.read(place), people.minting
    for words in (minting or (), *hooks.commands):
        check_names(persons, words, source)
    files = people.handing(persons, source)
    check_exchange(exchange, persons, files, source)
    appid = appid_of(exchange, appid)
    if exchange is not None and (qr or letters is not None):
        option = "--qr" if qr else "--letters"
        raise Failure(f"{option}: this is for people who collect with 'wormhole receive'")
    hooks.check_secret()
    names = [person.name for person in persons]
    codes_file = None if codes in (None, "-") else CodesFile(Path(str(codes)), names)
    if codes_file is not None:
        codes_file.check()
    if qr:
        require_qr()
    secrets = any(person.secret is not None for person in persons)
    if secrets:
        warn_of_readers(place)
    ready = None
    if letters is not None:
        ready = letters.prepared(relay, appid, [(batch, name) for name in names], persons)
    expires = None if deadline is None else time.time() + deadline
    terms = Terms(
        relay, appid, expires, people.mint_timeout, code, tor.wanted, hooks, files, exchange
    )
    kept = Kept(relay, appid, expires)
    through = tor.found()
    with serving(
        db,
        Work(connections=connections, retain=retain, tor=through, limits=limits),
        http=http,
    ) as service:
        if codes_file is not None:
            check_codes_in_use(service.journal, batch, names, codes_file.codes(), str(codes))
        existing = start_batch(service.journal, batch, persons, minting, source, terms, operator())
        line = StatusLine()
        given = CodesGiven(
            batch,
            names,
            line,
            codes_file,
            pictures_of(service.journal, kept, batch, existing) if qr else None,
            None if ready is None else LettersOfCodes(ready, service.journal),
        )
        progress = Progress(
            names,
            line,
            given,
            when_all_have_codes(
                place, with_secrets=secrets, with_files=any(p.file for p in persons)
            ),
        )
        progress.begin(existing, collected_by(exchange, relay, appid))
        if code.notice is not None and existing < len(persons):
            say.tell(code.notice)
        ending = service.run(progress.watch, batch=batch, names=set(names), seconds=seconds)
        given.finish_letters()
    progress.end(ending)
