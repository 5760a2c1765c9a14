"""CPU of one side's SPAKE2, from the code to the key.

Fair, because both do the whole of what a wormhole client does with a code: the first message from
the code and fresh randomness, and the key from the other side's message.  The peer is the `spake2`
package in pure Python, as `magic-wormhole` uses it; ours runs the same package over libsodium, and
keeps in between what a checkpoint holds, its scalar and its message, and no object.  Both finish
with messages of honest peers, made before the clock starts.  CPU time of one thread.
"""

import os
import time

from tests.bench.measuring import Bench, Figures, Outcome, Row, program, sample

APPID = "example.com/bench"
CODE = "4-purple-sausages"


def measure(times: int) -> Figures:
    """Milliseconds for each."""
    from holdfast.crypto import finish, start

    theirs = [start(CODE, APPID, os.urandom(64)).message for _ in range(times)]
    begun = time.process_time()
    for message in theirs:
        half = start(CODE, APPID, os.urandom(64))
        finish(CODE, APPID, half, message)
    return {"ms": (time.process_time() - begun) / times * 1000}


def compare(bench: Bench) -> Outcome:
    """The peer and ours."""
    found = bench.rounds(
        5,
        {
            "spake2": lambda: bench.peer("wormhole", "wormhole_pake.py", times=60),
            "Holdfast": lambda: bench.ours("pake", times=500),
        },
    )
    what = "SPAKE2 start and finish, one side, CPU"
    peer, ours = (sample(found[name], "ms", "ms") for name in ("spake2", "Holdfast"))
    return Outcome([Row(what, peer, ours, at_most=0.42, then=7.8)])


if __name__ == "__main__":
    program(measure)
