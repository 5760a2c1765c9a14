"""Start `holdfast` as usual, and note in `.late` of the working directory when its reactor is late.

Each line: the system's monotonic clock, and how many milliseconds late a call was that was due each
five.  It stands alone, because it runs in the working directory of a transfer.
"""

import time
from pathlib import Path

from holdfast.cli.main import main

EVERY = 0.005
WORTH_A_LINE = 0.002


def watch() -> None:
    """Begin to look, once there is a reactor that runs."""
    from twisted.internet import reactor

    stream = Path(".late").open("a", buffering=1)  # noqa: SIM115 - until the process ends

    def look(due: float) -> None:
        now = time.monotonic()
        if now - due > WORTH_A_LINE:
            stream.write(f"{now} {(now - due) * 1000:.1f}\n")
        reactor.callLater(EVERY, look, now + EVERY)

    reactor.callWhenRunning(look, time.monotonic() + 3600)


if __name__ == "__main__":
    watch()
    main()
