"""The package's applications, which hold no more in memory than what somebody listens to.

The package makes an object for each mailbox that is opened, and keeps it until both sides have
closed the mailbox: with 100,000 codes that wait they are 27 MB, and those of mailboxes that expired
are never let go of. It also gives up an application in whose mailboxes nobody is, though clients
are bound to it: whoever binds later then does not hear of what they say.

Imported only where the package is installed. Its private names are not used here.
"""

from typing import Any, Final
from weakref import WeakValueDictionary

from wormhole_mailbox_server.server import AppNamespace, CrowdedError, Server
from wormhole_mailbox_server.server_websocket import Error

from holdfast.server.turn import Turn

# Any value except None turns off the package's log of nameplates and mailboxes. The number
# itself rounds the times in a usage database, which we do not keep.
_QUIET: Final = 3600


class Application(AppNamespace):  # type: ignore[misc]
    """One application: all mailboxes of an appid."""

    def __init__(self, turn: Turn, app_id: str) -> None:
        super().__init__(turn, None, _QUIET, log_requests=False, app_id=app_id, allow_list=True)
        self._opened: dict[str, Any] = {}

    def open_mailbox(self, mailbox_id: str, side: str, when: float) -> Any:
        """Note that there is an object for it."""
        try:
            mailbox = super().open_mailbox(mailbox_id, side, when)
        except CrowdedError:
            if mailbox_id not in self._opened:
                self.free_mailbox(mailbox_id)
            raise
        self._opened[mailbox_id] = mailbox
        return mailbox

    def free_mailbox(self, mailbox_id: str) -> None:
        """Note that there is none."""
        super().free_mailbox(mailbox_id)
        self._opened.pop(mailbox_id, None)

    def listened_to(self) -> list[str]:
        """Return the mailboxes that a client listens to, and let go of all others.

        To be called between two commands: during one, an object may be about to be used.
        """
        for name in [name for name, each in self._opened.items() if not each.has_listeners()]:
            self.free_mailbox(name)
        return list(self._opened)


class Applications(Server):  # type: ignore[misc]
    """All applications to which a client is bound; the package's server.

    `motd` is shown to every client that connects.
    """

    def __init__(self, turn: Turn, motd: str | None = None) -> None:
        welcome = {} if motd is None else {"motd": motd}
        super().__init__(turn, allow_list=True, welcome=welcome, blur_usage=_QUIET)
        self._turn = turn
        self._used: WeakValueDictionary[str, Application] = WeakValueDictionary()

    def get_app(self, app_id: object) -> Application:
        """Return the one that is there as long as any of its clients. Raises Error."""
        if not isinstance(app_id, str):
            raise Error("appid must be text")
        app = self._used.get(app_id)
        if app is None:
            app = self._used[app_id] = Application(self._turn, app_id)
        return app

    def listened_to(self) -> list[str]:
        """Do the same for each; return all."""
        return [name for app in list(self._used.values()) for name in app.listened_to()]
