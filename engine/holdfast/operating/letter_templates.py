"""The text of a letter: a plain one, or a Jinja2 template of the operator's.

A template is checked whole before anything is started: the names that it uses, in branches that are
not taken too, and a trial letter in which the code must appear.
"""

from __future__ import annotations

import html
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve, field, frozen

from holdfast.operating.kept import Kept
from holdfast.operating.letter_facts import Facts
from holdfast.operating.printable import printable, quoted
from holdfast.operating.refused import Refused, because

if TYPE_CHECKING:
    from jinja2 import Template as JinjaTemplate

VARIABLES: Final = ("name", "batch", "code", "command", "relay", "deadline", "qr", "person")
"""What a template can use: the properties of `Facts`."""

LARGEST: Final = 1024 * 1024
"""Bytes of the largest template."""

_TRIAL_CODE: Final = "7-crossover-clockwork"
_ENGINE_SUFFIXES: Final = (".j2", ".jinja", ".jinja2")
_MARKUP: Final = (".html", ".htm", ".xhtml", ".xml", ".svg")


class Template(Protocol):
    """Writes letters."""

    @property
    def suffix(self) -> str:
        """How the name of a letter's file ends, such as `.txt`."""

    def render(self, facts: Facts) -> str:
        """Return a letter. Raises `Refused` if the template and these facts do not go together."""


@frozen
class PlainTemplate:
    """The letter for those who have no template."""

    suffix: str = ".txt"

    def render(self, facts: Facts) -> str:
        """Return a letter of plain text."""
        until = facts.deadline
        ends = "" if until is None else f", and until {until:%Y-%m-%d %H:%M %Z}"
        return (
            f"For {printable(facts.name)}\n\n"
            "Something is waiting for you. To collect it, install a Magic-Wormhole client\n"
            "(https://magic-wormhole.readthedocs.io), and type this into a terminal:\n\n"
            f"    {facts.command}\n\n"
            f"The code works once{ends}.\n"
            "Whoever has it can collect in your place, so do not pass it on.\n"
            "If the client says that the code is wrong, tell whoever sent you this letter.\n"
        )


@frozen
class FileTemplate:
    """A template of the operator's, compiled."""

    file: str
    suffix: str
    _template: JinjaTemplate = field(repr=False)

    def render(self, facts: Facts) -> str:
        """Return a letter. Raises `Refused`."""
        from jinja2 import TemplateError, UndefinedError

        values: dict[str, Any] = {each: getattr(facts, each) for each in VARIABLES}
        values["name"] = printable(facts.name)
        try:
            return self._template.render(values)
        except Refused:
            raise
        except UndefinedError as error:  # names what the template asked for
            problem = printable(str(error), 200)
        except TemplateError as error:
            problem = printable(error.message or type(error).__name__, 200)
        except Exception as error:  # noqa: BLE001 - a template can raise anything, such as 1 / 0
            problem = type(error).__name__  # its words may hold the code
        # Outside the handlers: the values in those tracebacks are secrets.
        raise Refused(f"{self.file}: {problem}")


def template_from(
    path: Path | None, relay: str, appid: str, person: Mapping[str, str] | None = None
) -> Template:
    """Read and check a template; without a path it is the plain one.

    Args:
        path: the template's file. Templates in the same directory can be included.
        relay: the mailbox server of the trial letter.
        appid: the application id of the trial letter.
        person: what is in somebody's other columns.

    Raises:
        Refused: Jinja2 is not installed, the file cannot be read, it is not a template, it uses
            what no letter has, or its letters would not show the code.
    """
    if path is None:
        return PlainTemplate()
    template = _compiled(path)
    kept = Kept(relay, appid, None)
    trial = Facts("Ada Lovelace", "default", _TRIAL_CODE, kept, person or {})
    until = evolve(trial, kept=Kept(relay, appid, time.time() + 86_400))
    for facts in (trial, until):
        if not shows_code(template.render(facts), _TRIAL_CODE):
            raise Refused(f"{template.file}: a letter from it would not show the code")
    return template


def shows_code(letter: str, code: str) -> bool:
    """Whether a letter is one for this code."""
    return any(_stands_in(letter, each) for each in {code, html.escape(code)})


def _stands_in(letter: str, code: str) -> bool:
    """Whether the code is there, and not as a part of a longer one."""
    start = letter.find(code)
    while start >= 0:
        around = letter[start - 1 : start] + letter[start + len(code) : start + len(code) + 1]
        if not any(each.isalnum() or each == "-" for each in around):
            return True
        start = letter.find(code, start + 1)
    return False


def _compiled(path: Path) -> FileTemplate:
    try:
        from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, meta
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        from holdfast_journal import install

        raise Refused(f"--letter needs the package jinja2: {install('letters')}") from None
    file = printable(str(path), 300)
    suffix = _suffix(path)
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(path.parent),
        autoescape=suffix in _MARKUP,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["line"] = printable
    source = _source(path, file)
    try:
        unknown = meta.find_undeclared_variables(environment.parse(source)) - set(VARIABLES)
        template = environment.from_string(source)
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = "" if number is None else f", line {number}"
        raise Refused(f"{file}{line}: {printable(error.message or 'bad', 200)}") from None
    if unknown:
        raise Refused(
            f"{file}: no letter has {quoted(min(unknown))}; a template can use"
            f" {', '.join(VARIABLES)}"
        )
    return FileTemplate(file, suffix, template)


def _suffix(path: Path) -> str:
    """Return how letters end: as the template does, apart from what says that it is one."""
    name = path.name
    for each in _ENGINE_SUFFIXES:
        name = name.removesuffix(each)
    return Path(name).suffix.lower() or ".txt"


def _source(path: Path, file: str) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise because(file, error) from None
    if len(data) > LARGEST:
        raise Refused(f"{file}: longer than 1 MiB; this cannot be a letter")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{file}: this is not UTF-8") from None
