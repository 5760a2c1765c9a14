"""The options that say who is told of a code, of its being collected, and of trouble."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from holdfast.operating.hooks import asked_hooks

_EVENTS = {
    "code": "Tell of each code: run COMMAND, or send a signed POST to URL (https:). It is repeated"
    " until it works, also after this command has ended; see docs/hooks.md.",
    "collected": "Likewise, when somebody has collected what was theirs.",
    "trouble": "Likewise, when somebody came with a wrong code, or when a flow ends badly.",
}


def hook_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--on-code`, `--on-collected` and `--on-trouble`; the command gets `hooks: AskedHooks`.

    Raises Refused, in the command, for what cannot be a hook.
    """

    @functools.wraps(command)
    def gathered(*args: Any, **more: Any) -> Any:
        given = {event: more.pop(f"on_{event}") for event in _EVENTS}
        return command(*args, hooks=asked_hooks(given), **more)

    options: Callable[..., Any] = gathered
    for event, words in reversed(_EVENTS.items()):
        options = click.option(f"--on-{event}", metavar="COMMAND|URL", help=words)(options)
    return options
