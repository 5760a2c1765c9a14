"""Journals of one's own: any object with the methods of `IJournal` is one."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from holdfast import IJournal, ImmediateJournal, Journal, SqlJournal


class Own:
    """What is queued happens at the end of the block."""

    def __init__(self) -> None:
        self.queued: list[Callable[[], object]] = []

    @contextmanager
    def process(self) -> Generator[None]:
        yield
        while self.queued:
            self.queued.pop(0)()

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        self.queued.append(lambda: fn(*args, **kwargs))


class WithoutQueue:
    def process(self) -> AbstractContextManager[None]:
        return nullcontext()


class WithoutBlock(Own):
    def process(self) -> None:  # type: ignore[override]
        pass


class WithoutArguments(Own):
    def queue_outbound(self, fn: Callable[[], object]) -> None:  # type: ignore[override]
        fn()


def use(journal: IJournal) -> None:
    with journal.process():
        journal.queue_outbound(print, "sent", end="")
        journal.queue_outbound("sent")  # refused: incompatible type "str"
    journal.record("message")  # refused: has no attribute "record"


def journals(whole: Journal, sql: SqlJournal) -> None:
    use(Own())
    use(ImmediateJournal())
    use(whole)
    use(WithoutQueue())  # refused: "WithoutQueue"; expected "IJournal"
    use(WithoutBlock())  # refused: "WithoutBlock"; expected "IJournal"
    use(WithoutArguments())  # refused: "WithoutArguments"; expected "IJournal"
    use(sql)  # refused: "SqlJournal"; expected "IJournal"
    use(Own)  # refused: expected "IJournal"
