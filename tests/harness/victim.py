"""Run as a program: the `holdfast` command, in a process that kills itself at a chosen moment.

    victim.py --log FILE --kill-at add:after:2 provision people.csv --codes codes.csv
    victim.py --log FILE --record provision people.csv --codes codes.csv

The moments, and how they are put around the product, are in `moments`.
"""

import argparse
import os
import sys

import failing_output
import moments


def fate_and_arguments():
    """Return what becomes of this process, and its other arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", default=os.devnull)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--kill-at", metavar="PLACE:WHEN:OCCURRENCE", dest="at")
    parser.add_argument("--kill-step", type=int, metavar="N", dest="step")
    parser.add_argument("--since", metavar="PLACE", help="where --kill-step begins to count")
    parser.add_argument("--kill-after", type=float, metavar="SECONDS", dest="seconds")
    parser.add_argument("--halt", action="append", default=[], dest="halts")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    fate = vars(parser.parse_args())
    arguments = fate.pop("arguments")
    return moments.Fate(**fate), arguments


def main():
    fate, arguments = fate_and_arguments()
    moments.install(fate)
    failing_output.install(arguments[0])
    sys.argv = ["holdfast", *arguments]
    from holdfast.cli.main import main

    main()


if __name__ == "__main__":
    main()
