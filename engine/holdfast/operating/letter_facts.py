"""What a letter can tell its recipient."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from holdfast.operating.collecting import receive_command, transfer_uri
from holdfast.operating.kept import Kept
from holdfast.operating.qr import qr_svg, qr_text
from holdfast.operating.refused import Refused
from holdfast.rendezvous import DEFAULT_RELAY


@frozen
class Drawing:
    """A QR code that is drawn when a template asks for it.

    Both raise `Refused` if it cannot be drawn.
    """

    uri: str = field(repr=False)
    """What is in it."""

    @property
    def svg(self) -> str:
        """An SVG element; templates need not mark it as safe."""
        from markupsafe import Markup

        return Markup(qr_svg(self.uri))  # noqa: S704 - made of numbers by the drawing package

    @property
    def text(self) -> str:
        """Lines of block characters, dark on light."""
        return qr_text(self.uri)


@frozen
class Facts:
    """One flow that has a code, as templates see it.

    Args:
        name: whom it is for.
        batch: the flow's batch.
        code: the code.
        kept: the flow's terms.
        person: what a people file says of them in other columns than name and secret.
    """

    name: str
    batch: str
    code: str = field(repr=False)
    kept: Kept
    person: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def command(self) -> str:
        """What the recipient types into a shell."""
        return receive_command(self.code, self.kept.relay, self.kept.appid)

    @property
    def relay(self) -> str | None:
        """The mailbox server's URL, where a stock client has to be told; None elsewhere."""
        return None if self.kept.relay == DEFAULT_RELAY else self.kept.relay

    @property
    def deadline(self) -> datetime | None:
        """Until when the code can be used, in this machine's time zone; None for ever."""
        if self.kept.deadline is None:
            return None
        try:
            return datetime.fromtimestamp(self.kept.deadline).astimezone().replace(microsecond=0)
        except (OverflowError, OSError, ValueError):  # thousands of years ahead
            return None

    @property
    def qr(self) -> Drawing | None:
        """The QR code; None if none can lead to this flow."""
        try:
            return Drawing(transfer_uri(self.code, self.kept.relay, self.kept.appid))
        except Refused:
            return None
