"""Hand a file or a folder, exactly once, to the peer that proves the code: one person's.

It is `holdfast.flows.shipped.send_file`, but nothing is read before the person is there. Thousands
may wait, and most files are small.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, field

from holdfast.flows.activities import Wanted
from holdfast.flows.base import flow
from holdfast.flows.shipped.send_file import SendFile
from holdfast.transfer import APPID, messages

PLACE_PURPOSE: Final = "holdfast private file"
"""What the last part of a private place is derived for: a flow that is retried has another one."""


@flow("provision-file", appid=APPID)
class ProvisionFile(SendFile):
    """One person's file or folder.

    Args:
        person: whom it is for.
        mint: the command and its arguments that write the file; run once the recipient is there
            and has proved the code.
        mint_timeout: seconds that the command may take.
        private: what the flow's directory is called among the private ones, if the command writes
            into it; see `holdfast.flows.shipped.private`.
    """

    person: str = ""
    mint: list[str] = field(factory=list)
    mint_timeout: float = 60.0
    private: str = ""

    def started(self) -> None:
        """Ask for a code."""
        self.open_code()

    def activity(self) -> Wanted | None:
        """Likewise; but from the beginning of a command on, something must be cleared up."""
        wanted = super().activity()
        if not self.mint or self.contact.resumes is None:
            return wanted
        if wanted is None:
            return Wanted("private-file", self._place)
        return evolve(wanted, details=evolve(wanted.details, place=self._place))

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        """The recipient is there and has proved the code."""
        super().wormhole_got_versions(versions)
        if self.mint:
            self.perform(
                "mint-file",
                command=self.mint,
                name=self.person,
                file=self.name or self.person,
                place=self._place,
                timeout=self.mint_timeout,
            )
        else:
            self.perform("measure", paths=self.paths, name=self.name)

    def mint_file_done(self, path: str) -> None:
        """The file exists now."""
        self.paths = [path]
        self.perform("measure", paths=self.paths, name=self.name)

    def mint_file_failed(self, reason: str) -> None:
        """There is no file, after all tries."""
        self.wormhole.send_message(messages.refuse("the sender could not make the file"))
        self.fail(f"mint: {reason}")

    @property
    def _place(self) -> str:
        """Where its private file is. The key of the exchange is there when this is needed."""
        return f"{self.private}/{self.wormhole.derive_key(PLACE_PURPOSE, 8).hex()}"
