"""What can go wrong with a wormhole, as exceptions that an application may catch.

All of them except `WormholeClosed` are `WormholeError`s. The text of an exception says what to do
next. They never carry a code, a key or a message.
"""

from typing import ClassVar


class WormholeError(Exception):
    """Something went wrong with a wormhole.

    The text is `message`; without one, it is the advice of the class.
    """

    advice: ClassVar[str] = "The wormhole failed."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(self.advice if message is None else message)


class KeyFormatError(WormholeError):
    """The code, or a part of it, is malformed."""

    advice = "That is not a wormhole code: a code looks like 4-purple-sausages, without spaces."


class WrongPasswordError(WormholeError):
    """A message did not decrypt: the other side used another code, or an attacker guessed."""

    advice = (
        "The other side used a different code, by a typing mistake or because an attacker tried"
        " to guess it. Start again with a new code."
    )


class LonelyError(WormholeError):
    """The wormhole was closed before the other side had proved that it knows the code."""

    advice = "The other side never came. Start again with a new code when both are ready."


class ServerError(WormholeError):
    """The mailbox server refused something; the text is the server's own, unchanged."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


class CrowdedError(ServerError):
    """A third party entered the mailbox, which is for two; the text is the server's own.

    Both sides are refused from then on. The third party knew the number of the code, but not
    necessarily its words: what was sent can be read only with the whole code.
    """

    advice = (
        "A third party entered the mailbox, so the mailbox server lets no one else in."
        " Start again with a new code."
    )


class CodeLostError(WormholeError):
    """The mailbox server has forgotten the code, and another client may have its number by now."""

    advice = (
        "The mailbox server has forgotten this code, and may have given its number to another"
        " client. Start again with a new code."
    )


class PeerGoneError(WormholeError):
    """A dilated wormhole has lost its peer for good; the text says how."""

    advice = "The other side has been away for too long."


class EndpointUsedError(WormholeError, ValueError):
    """An endpoint of a dilated wormhole that serves once was used a second time."""

    advice = "That endpoint serves once, and was used before."


class WelcomeError(WormholeError):
    """The mailbox server's welcome refused us; the text is the server's own."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


class PeerError(WormholeError):
    """The other side proved that it knows the code, and then broke the protocol."""

    def __init__(self, text: str) -> None:
        super().__init__(text)

    def __str__(self) -> str:
        return f"The other side's program misbehaved: {super().__str__()}"


class ServerConnectionError(WormholeError):
    """The first connection attempt failed, and `first_failure_is_final` was requested.

    `url` is the server's URL, and `reason` the exception with which the attempt ended, such as
    Twisted's `ConnectionRefusedError`; the text says the same in words.

    Args:
        url: the server's URL.
        reason: the exception.
        words: what it means; its own text by default.
    """

    def __init__(self, url: str, reason: BaseException, words: str | None = None) -> None:
        Exception.__init__(self, url, reason, words)  # what copies are made from
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        _, reason, words = self.args
        return f"The mailbox server cannot be reached: {reason if words is None else words}"


class CannotSerialize(WormholeError):
    """Only a wormhole with a delegate can be saved."""

    advice = (
        "This wormhole cannot be serialized: it has no delegate, and Deferreds cannot be saved."
        " Pass a delegate to holdfast.create."
    )


class NoKeyError(WormholeError):
    """A key was asked for before there was one."""

    advice = "The key does not exist yet: derive keys after wormhole_got_unverified_key."


class OnlyOneCodeError(WormholeError):
    """A wormhole was given a second code; it may have only one."""

    advice = "This wormhole has its code already: make a new wormhole for another code."


class AlreadyChoseNameplateError(WormholeError):
    """The nameplate was asked about or chosen after it had been chosen."""

    advice = "The nameplate is chosen already: continue with the words."


class AlreadyChoseWordsError(WormholeError):
    """The words were asked about or chosen after they had been chosen."""

    advice = "The code is complete already: nothing more is to be typed."


class MustChooseNameplateFirstError(WormholeError):
    """Words were asked about or chosen before the nameplate."""

    advice = "Choose the nameplate (the number that begins the code) before the words."


class CanOnlyDilateOnceError(WormholeError):
    """`dilate` was called a second time."""

    advice = "This wormhole is dilated already: use what the first call of dilate returned."


class DilationNotOfferedError(WormholeError, ValueError):
    """`dilate` was called after the other side was told that this wormhole does not dilate."""

    advice = (
        "The other side was told that this wormhole does not dilate."
        " Pass dilation=True to holdfast.create, or call dilate before there is a key."
    )


class OldPeerCannotDilateError(WormholeError):
    """The other side's program cannot dilate, or was not asked to. Messages go on as before."""

    advice = "The other side's program cannot dilate. Messages can still be sent and received."


class BadCheckpoint(WormholeError):
    """A serialized wormhole is damaged, or was written by a newer Holdfast."""

    advice = (
        "The saved wormhole cannot be read: it is damaged, or a newer Holdfast wrote it."
        " Load it with the version that saved it."
    )


class AlreadyResumed(WormholeError):
    """A saved wormhole was resumed a second time; only one copy of it may be alive."""

    advice = (
        "This saved wormhole is running already, or has gone on since it was saved."
        " Load its newest checkpoint, once."
    )


class WormholeClosed(Exception):
    """The wormhole was closed happily, so nothing more comes from it. Not a `WormholeError`.

    Args:
        result: how it ended, "happy"; or another text.
    """

    def __init__(self, result: str = "happy") -> None:
        super().__init__(result)

    def __str__(self) -> str:
        if self.args == ("happy",):
            return "The wormhole is closed: nothing more comes from it."
        return super().__str__()
