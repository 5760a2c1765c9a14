"""What the programs of the peers share: arguments in, figures out (see `measuring.program`)."""

import json
import sys


def program(measure):
    """Call `measure` with the arguments, and print what it returns."""
    arguments = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    print("FIGURES", json.dumps(measure(**arguments)), flush=True)
