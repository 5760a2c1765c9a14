"""What a long-running command shows of Twisted's log."""

import subprocess
import sys

SCRIPT = """
from twisted.python import log
from holdfast.cli import say
from holdfast.cli.logs import log_what_goes_wrong

log_what_goes_wrong()
log.msg("a nameplate")
try:
    raise KeyError("a secret")
except KeyError:
    log.err(None, "with these words")
say.finish()
"""


def test_what_is_reported_through_the_old_log() -> None:
    """The mailbox server's package reports its failures there: type and place are shown."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert ran.stderr == "holdfast: error: KeyError in <module>, line 9 of <string>\n"
