"""What an operator hears of the mailbox servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from holdfast.operating.database import Tell
from holdfast.operating.printable import printable

if TYPE_CHECKING:
    from holdfast.status import Status


@define
class ServerNews:
    """Tells the operator once when a mailbox server is out of reach, and once when it is back."""

    tell: Tell
    reachable: dict[str, bool] = field(factory=dict, init=False)
    """Whether each server could be reached when that was last tried, by its URL."""

    def hear(self, status: Status) -> None:
        """Hear news of one wormhole of many."""
        from holdfast.status import Connected, Unreachable

        news = status.mailbox_connection
        if isinstance(news, Unreachable) and self.reachable.get(news.url, True):
            self.reachable[news.url] = False
            self.tell(
                f"cannot reach {printable(news.url)}: {printable(news.reason)};"
                " trying again until it can be reached"
            )
        elif isinstance(news, Connected) and not self.reachable.get(news.url, False):
            if news.url in self.reachable:
                self.tell(f"{printable(news.url)} can be reached again")
            self.reachable[news.url] = True
