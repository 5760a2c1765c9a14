"""A code that is being typed: the part of a wormhole that its input helper talks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast.core import events as ev
from holdfast.core.code import State
from holdfast.core.exchange import Exchange
from holdfast.core.frames import ListNameplates
from holdfast.shell.conversation import Conversation
from holdfast.shell.typing.helper import InputHelper, TypingStage
from holdfast_journal import IJournal

_STAGES: Mapping[State, TypingStage] = {
    "typing": TypingStage.NAMEPLATE,
    "typing_words": TypingStage.WORDS,
}


class TypingCode:
    """What `InputHelper` needs of its wormhole (`holdfast.shell.typing.helper.Typed`).

    Args:
        exchange: the state, only read here.
        journal: holds back questions to the server until the commit.
        happen: makes an event happen.
        check: if a code cannot be typed any more, raises the reason.
        conversation: returns the present connection, or None.
    """

    def __init__(
        self,
        exchange: Exchange,
        journal: IJournal,
        happen: Callable[[ev.Event], object],
        check: Callable[[], object],
        conversation: Callable[[], Conversation | None],
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._happen = happen
        self._check = check
        self._conversation = conversation
        self._helper: InputHelper | None = None
        self._wants_nameplates = False
        self._asked: Conversation | None = None
        self._waiting: list[Deferred[None]] = []

    @property
    def is_to_be_resumed(self) -> bool:
        """Whether a code was being typed before a restart, and is not being typed now."""
        return self._helper is None and self._exchange.code.state in _STAGES

    def begin(self) -> InputHelper:
        """Return the input helper; the server is asked for its nameplates at once."""
        self._helper = InputHelper(self)
        if self._is_at_nameplate:
            self.list_nameplates()
        return self._helper

    @property
    def _is_at_nameplate(self) -> bool:
        return _STAGES.get(self._exchange.code.state) is TypingStage.NAMEPLATE

    # What the helper calls.

    @property
    def typing_stage(self) -> TypingStage:
        """How far the typing has come.

        Raises:
            WormholeClosed, WormholeError: the wormhole has begun to close, or ended badly.
        """
        self._check()
        return _STAGES.get(self._exchange.code.state, TypingStage.DONE)

    @property
    def chosen_nameplate(self) -> str | None:
        """The nameplate, after it is chosen and until the words are."""
        return self._exchange.code.data.nameplate or None

    @property
    def wordlist_is_known(self) -> bool:
        """Whether the nameplate is claimed; so far, every nameplate has the same word list."""
        return self._exchange.nameplate.is_in("claimed", "releasing", "released")

    def list_nameplates(self) -> None:
        """Ask the server which nameplates there are, now or on the next connection."""
        self._wants_nameplates, self._asked = True, None
        with self._journal.process():
            self.speak()

    def choose_nameplate(self, nameplate: str) -> None:
        """Claim this nameplate, while the words are being typed."""
        self._happen(ev.ChooseNameplate(nameplate))

    def choose_words(self, words: str) -> None:
        """The code is complete."""
        self._happen(ev.ChooseWords(words))

    def when_wordlist_is_known(self) -> Deferred[None]:
        """Return a Deferred that fires once the word list is known; it fails with the wormhole."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._journal.queue_outbound(self._tell)
        return waiting

    # What the wormhole calls.

    def got_nameplates(self, nameplates: AbstractSet[str]) -> None:
        """Pass on the server's answer."""
        self._wants_nameplates, self._asked = False, None
        if self._helper is not None:
            self._helper.got_nameplates(nameplates)

    def speak(self) -> None:
        """Queue the question to the server, and fire what the helper waits for."""
        conversation = self._conversation()
        # A question whose answer was lost with its connection is asked again on the next one.
        if (
            self._wants_nameplates
            and self._is_at_nameplate
            and conversation is not None
            and conversation is not self._asked
            and conversation.welcomed
        ):
            self._asked = conversation
            self._journal.queue_outbound(conversation.send, (ListNameplates(),))
        if self._waiting:
            self._journal.queue_outbound(self._tell)

    def _tell(self) -> None:
        error: Exception | None = None
        try:
            self._check()
        except Exception as why:  # noqa: BLE001 - handed to every caller that waits
            error = why
        if error is None and not self.wordlist_is_known:
            return
        told, self._waiting = self._waiting, []
        for waiting in told:
            if waiting.called:  # its owner has cancelled it
                continue
            if error is None:
                waiting.callback(None)
            else:
                waiting.errback(Failure(error))
