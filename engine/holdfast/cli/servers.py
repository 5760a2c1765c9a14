"""Running a server of one's own until somebody stops it."""

from typing import TYPE_CHECKING, Any

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast.operating.stopping import Stopping
from holdfast.operating.supervising import Supervised

if TYPE_CHECKING:
    from holdfast.server.listening import ListeningService


def serve(reactor: Any, server: "ListeningService", kind: str) -> None:
    """Run `server` until SIGINT or SIGTERM; say where it listens, as `kind: address`.

    Raises Failure if it cannot listen.
    """
    from twisted.python.failure import Failure as Failed

    failed: list[str] = []
    stopping = Stopping(reactor)
    said: list[str] = []
    supervised = Supervised.by_environment(reactor, status=lambda: said[0] if said else None)

    def listens(where: str) -> None:
        # The key in a console's address lets somebody in, once. It is for whoever has started this
        # on a terminal: a log is read by others, and a service manager shows a status to everybody.
        address = where.partition("?")[0]
        said.append(f"{kind}: {address}")
        say.log("listening", said[0], shown=f"{kind}: {where}", out=True, keys={"address": address})
        supervised.ready()

    def does_not(failure: Failed) -> None:
        failed.append(failure.getErrorMessage())
        stopping.stop()

    def start() -> None:
        stopping.heed_signals()
        reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
        server.startService()
        server.when_listening().addCallbacks(listens, does_not)

    reactor.callWhenRunning(start)
    say.take_over()
    reactor.run()
    if failed:
        raise Failure(failed[0])
