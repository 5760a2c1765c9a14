"""Where the milliseconds of one exchange go, by the part of the code that spends them.

    python -m tests.bench.profile [--functions 25]

Not in the table.  The same story as `exchange.py` without a journal, ten at once, looked at after
every millisecond of CPU time, which costs nearly nothing and so distorts nearly nothing; a moment
inside C code counts for the Python code that called it.
"""

import argparse
import signal
from collections import Counter
from types import FrameType

from tests.bench import exchange
from tests.bench.measuring import folder
from tests.harness.server import MailboxServer

PARTS = {
    "holdfast/core": "core: machines and what they say",
    "automat": "Automat",
    "holdfast/crypto": "crypto",
    "spake2/": "crypto",
    "nacl/": "crypto",
    "holdfast/rendezvous/wire": "wire: JSON to events and back",
    "holdfast/rendezvous": "connections",
    "websockets/": "WebSocket framing",
    "holdfast/shell": "shell",
    "holdfast_journal": "journal",
    "sqlalchemy": "journal",
    "twisted/internet/defer": "Twisted: Deferreds",
    "twisted": "Twisted: reactor, sockets, connecting",
    "tests/bench": "the benchmark itself",
}
EVERY = 0.001


def part_of(frame: FrameType | None) -> str:
    """Which part of the whole is at work."""
    while frame is not None:
        for key, part in PARTS.items():
            if key in frame.f_code.co_filename:
                return part
        frame = frame.f_back
    return "the rest"


def main() -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--functions", type=int, default=25)
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    import holdfast.api  # noqa: F401 - importing is no part of an exchange

    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        parts[part_of(frame)] += 1
        seen = set()
        while frame is not None:
            code = frame.f_code
            seen.add(
                f"{code.co_filename.partition('site-packages/')[2] or code.co_filename}"
                f":{code.co_qualname}"
            )
            frame = frame.f_back
        functions.update(seen)

    with folder() as quick, MailboxServer(quick) as server:
        signal.signal(signal.SIGPROF, look)
        signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
        figures = exchange.measure(server.url, given.count, exchange.USUAL)
        signal.setitimer(signal.ITIMER_PROF, 0)
    print(f"{figures['ms']:.1f} CPU ms an exchange; its parts:")
    total = sum(parts.values())
    for part, count in parts.most_common():
        share = count / total
        print(f"{share * figures['ms']:6.2f} ms {share:4.0%}  {part}")
    print("\nwith all that they call:")
    for name, count in functions.most_common(given.functions):
        print(f"{count / total * figures['ms']:6.2f} ms {count / total:4.0%}  {name}")


if __name__ == "__main__":
    main()
