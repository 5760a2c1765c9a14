"""The peer's side of `pake.py`: the `spake2` package as `magic-wormhole` calls it."""

import time

from figures import program
from spake2 import SPAKE2_Symmetric

APPID, CODE = b"example.com/bench", b"4-purple-sausages"


def measure(times):
    theirs = [SPAKE2_Symmetric(CODE, idSymmetric=APPID).start() for _ in range(times)]
    begun = time.process_time()
    for message in theirs:
        ours = SPAKE2_Symmetric(CODE, idSymmetric=APPID)
        ours.start()
        ours.finish(message)
    return {"ms": (time.process_time() - begun) / times * 1000}


program(measure)
