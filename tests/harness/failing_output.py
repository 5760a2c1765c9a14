"""Standard output and standard error that fail, put around a victim by `FAILING_OUTPUT`.

    once            each write is refused at its first try
    stuck           each write never returns
    sometimes:SEED  writes are refused, cut short, or neither

Commands that only look are left alone: they fail if their output does.
"""

import errno
import os
import random
import threading

VARIABLE = "FAILING_OUTPUT"


def install(command):
    """Do what the environment says."""
    how, _, seed = os.environ.get(VARIABLE, "").partition(":")
    if not how or command not in ("provision", "run", "send", "receive"):
        return
    from holdfast.cli import outlet, say

    outlet.PAUSE, say.PATIENCE = 0.02, 0.2
    real, rng, refused = os.write, random.Random(seed), {}

    def write(descriptor, data):
        if descriptor not in (1, 2):
            return real(descriptor, data)
        if how == "stuck":
            threading.Event().wait()
        if how == "sometimes" and rng.random() < 0.3:
            return real(descriptor, data[: rng.randint(1, len(data))])
        refused[descriptor] = not refused.get(descriptor)
        if refused[descriptor] if how == "once" else rng.random() < 0.5:
            number = rng.choice([errno.ENOSPC, errno.EPIPE, errno.EIO])
            raise OSError(number, os.strerror(number))
        return real(descriptor, data)

    os.write = write
