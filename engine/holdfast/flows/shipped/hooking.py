"""The tasks that tell of an event: by a command, or by a signed POST to a URL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from holdfast.flows.hooks import EVENTS
from holdfast.flows.shipped.command import KEY_VARIABLE, run
from holdfast.flows.tasks import Call, task

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

COMMAND_TIMEOUT: Final = 60.0
"""Seconds that a command may take."""

WEBHOOK_TIMEOUT: Final = 30.0
"""Seconds that a receiver has for its answer."""


def tell_command(call: Call) -> Deferred[None]:
    """Run a command, which finds what happened in its environment."""
    words, body = list(call.arguments["to"]), call.arguments["body"]
    variables = {**variables_of(json.loads(body)), KEY_VARIABLE: call.key}
    # What it prints is not needed.
    return run(call.reactor, words, variables, COMMAND_TIMEOUT).addCallback(lambda _: None)


def variables_of(message: Mapping[str, Any]) -> dict[str, str]:
    """Return a message as environment variables: HOLDFAST_EVENT, HOLDFAST_NAME and so on."""
    # No variable can hold a NUL, and a peer's words may.
    return {
        f"HOLDFAST_{name.upper()}": str(value).replace("\0", "") for name, value in message.items()
    }


def tell_webhook(call: Call) -> Deferred[None]:
    """Post the message to a URL."""
    # Only here, since few processes need Twisted's web client.
    from holdfast.flows.shipped.webhook import post

    (url,) = call.arguments["to"]
    return post(call.reactor, url, call.arguments["body"].encode(), call.key)


for _event in EVENTS:
    task(f"command-{_event}", timeout=COMMAND_TIMEOUT + 10.0)(tell_command)
    task(f"webhook-{_event}", timeout=WEBHOOK_TIMEOUT)(tell_webhook)
