"""`make thousand`: paste the manual's page "A thousand people" into a shell, and check its end.

Run as `python -m tests.harness.thousand PEOPLE`.
"""

import re
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.harness.process import BIN, environment

DOCS = Path(__file__).parents[2] / "docs"


def free_ports(number: int) -> list[str]:
    """Ports on which nothing listens."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


def main(people: int) -> int:
    """Paste the page with that many people, at least four; return how it ended."""
    page = (DOCS / "thousand.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    mailbox, receiver = free_ports(2)
    script = "\n".join(["set -eu", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT", *blocks])
    script = script.replace("people=1000", f"people={people}")
    told = (DOCS / "examples/told.py").read_text().replace("8080", receiver)
    script = script.replace("4000", mailbox).replace("8080", receiver)
    script = script.replace("python3 told.py", "python3 ../told.py")
    with tempfile.TemporaryDirectory(prefix="holdfast-thousand-") as folder:
        (Path(folder) / "told.py").write_text(told)
        env = environment(HOME=folder, PATH=f"{BIN}:/usr/bin:/bin")
        words = ["bash", "-x", "-c", script]
        ended = subprocess.run(
            words, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=False
        )
    print(ended.stdout)
    whole = f"{people + 1} flows: {people + 1} done." in ended.stdout
    told_once = re.search(rf"^{people + 1}$", ended.stdout, re.MULTILINE) is not None
    return ended.returncode or int(not (whole and told_once))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
