"""What the manual says about running servers is what their commands take."""

import re
import shlex

import pytest

from holdfast.cli.commands import mailbox, relay
from tests.docs.conftest import DOCS

COMMANDS = {"mailbox": mailbox.command, "relay": relay.command}


def invocations(name: str) -> list[list[str]]:
    """The words after `holdfast NAME` in the unit and in the examples of the page."""
    text = (DOCS / f"systemd/holdfast-{name}.service").read_text() + (
        DOCS / f"{name}.md"
    ).read_text()
    lines = re.findall(rf"^(?:ExecStart=\S*/|\$ )holdfast {name}( .*)?$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_commands_are_understood(name: str) -> None:
    """The systemd unit and the examples have options that exist, with values that they take."""
    found = invocations(name)
    assert len(found) >= 2
    for words in found:
        COMMANDS[name].make_context(name, words)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    """The page has a paragraph for each option, and for no other."""
    described = re.findall(
        r"^`(--[\w-]+) [A-Z]+`$", (DOCS / f"{name}.md").read_text(), re.MULTILINE
    )
    assert described == [param.opts[0] for param in COMMANDS[name].params]
