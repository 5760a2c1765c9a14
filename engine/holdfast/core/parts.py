"""The machines of an exchange by name, and the shape of the document that holds them."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from holdfast.core.code import CODE
from holdfast.core.inbox import INBOX
from holdfast.core.key import KEY
from holdfast.core.lifecycle import LIFECYCLE
from holdfast.core.machine import Blueprint
from holdfast.core.mailbox import MAILBOX
from holdfast.core.nameplate import NAMEPLATE
from holdfast.core.outbox import OUTBOX


@frozen
class SavedExchange:
    """The shape of a serialized exchange."""

    appid: str
    side: str
    versions: dict[str, Any]
    welcome: dict[str, Any] | None
    dilation: bool
    can_dilate: bool | None
    code: dict[str, Any]
    nameplate: dict[str, Any]
    mailbox: dict[str, Any]
    key: dict[str, Any]
    outbox: dict[str, Any]
    inbox: dict[str, Any]
    lifecycle: dict[str, Any]


PARTS: dict[str, Blueprint[Any, Any, Any]] = {
    "code": CODE,
    "nameplate": NAMEPLATE,
    "mailbox": MAILBOX,
    "key": KEY,
    "outbox": OUTBOX,
    "inbox": INBOX,
    "lifecycle": LIFECYCLE,
}
"""Every machine of an exchange, by the name of its field."""
