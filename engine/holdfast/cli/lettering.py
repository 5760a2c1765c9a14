"""The options that ask for letters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from holdfast.cli.failure import Failure

if TYPE_CHECKING:
    from holdfast.operating.letters import Letters
    from holdfast.operating.people import Person


@frozen
class AskedLetters:
    """What an operator asked for.

    Args:
        directory: where the letters go.
        template: the file of their template; None for the plain letter.
        again: whether letters that are there already are written again.
    """

    directory: Path
    template: Path | None
    again: bool = False

    def prepared(
        self, relay: str, appid: str, who: Iterable[tuple[str, str]], people: Sequence[Person]
    ) -> Letters:
        """Check everything that can be checked before anything is started; see `Letters`.

        Args:
            relay: the mailbox server of the trial letter.
            appid: the application id of the trial letter.
            who: the batch and the name of everyone who gets a letter.
            people: those whose other columns letters can use; the first has the trial letter.

        Raises:
            Refused: something is wrong with the template or the directory.
        """
        from holdfast.operating.letter_templates import template_from
        from holdfast.operating.letters import Letters

        trial = people[0].others if people else {}
        template = template_from(self.template, relay, appid, trial)
        others = {person.name: person.others for person in people}
        letters = Letters(self.directory, template, self.again, others)
        letters.check(who)
        return letters


def letter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--letters` and `--letter`; the command gets `letters: AskedLetters | None`.

    If the command has a flag `again` of its own, it becomes part of that.
    """

    @functools.wraps(command)
    def gathered(
        *args: Any,
        letters_directory: str | None,
        letter_template: str | None,
        again: bool = False,
        **more: Any,
    ) -> Any:
        if letters_directory is None:
            if letter_template is not None:
                raise Failure("--letter: --letters DIR says where the letters go")
            return command(*args, letters=None, **more)
        template = None if letter_template is None else Path(letter_template)
        asked = AskedLetters(Path(letters_directory), template, again)
        return command(*args, letters=asked, **more)

    options = click.option(
        "--letter",
        "letter_template",
        metavar="TEMPLATE",
        type=click.Path(),
        help="What the letters say: a Jinja2 template, which can use name, batch, code, command,"
        " relay, deadline, qr.svg, qr.text, and person.COLUMN of the people file. The names of"
        " letters end as the template's does: in .txt or .html. Without this option letters are"
        " plain text.",
    )(gathered)
    return click.option(
        "--letters",
        "letters_directory",
        metavar="DIR",
        type=click.Path(),
        help="Write a letter for each person into this directory when their code is there; readable"
        " by you only.",
    )(options)
