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
        said.append(f"{kind}: {where}")
        say.log("listening", said[0], out=True, keys={"address": where})
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
