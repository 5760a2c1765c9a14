"""Run as a program: the `holdfast` command, which kills itself between two chosen steps.

The environment variable DOOM says when, as JSON: `{"at": [[MODULE, NAME, "before"|"after"], ...],
"count": N}`. It dies by SIGKILL at the N-th time that it comes to any of these places. A place
is a function or method: NAME is `function` or `Class.method`. Nothing of the product knows of
this, and until then it runs as ever. See `tests.harness.process.Doom`.
"""

import functools
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import threading


class Fate:
    """Counts the places that were come to, in whatever thread."""

    def __init__(self, count):
        self._left = count
        self._turn = threading.Lock()

    def step(self):
        with self._turn:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, function, when):
        @functools.wraps(function)
        def doomed(*args, **kwargs):
            if when == "before":
                self.step()
            result = function(*args, **kwargs)
            if when == "after":
                self.step()
            return result

        return doomed


class Hook(importlib.abc.MetaPathFinder):
    """Wraps the places of a module when it has been imported, before anybody gets it."""

    def __init__(self, places, fate):
        self._places = places
        self._fate = fate

    def find_spec(self, name, path=None, target=None):
        places = [(where, when) for module, where, when in self._places if module == name]
        if not places:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            for where, when in places:
                *owners, last = where.split(".")
                owner = functools.reduce(getattr, owners, module)
                setattr(owner, last, self._fate.wrap(getattr(owner, last), when))

        spec.loader.exec_module = exec_module
        return spec


def main():
    doom = json.loads(os.environ.pop("DOOM"))
    sys.meta_path.insert(0, Hook(doom["at"], Fate(doom["count"])))
    sys.argv[0] = "holdfast"
    from holdfast.cli.main import main as holdfast

    holdfast()


if __name__ == "__main__":
    # As for the installed command, its folder is not where modules are found.
    sys.path.pop(0)
    main()
