"""`make shop`: paste the manual's page "A shop" into a shell, and check what it shows.

Run as `python -m tests.harness.shop`. What needs Prometheus or Node is pasted where that is
installed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.harness.process import BIN, environment
from tests.harness.thousand import DOCS, free_ports

PORTS = ("4000", "8080", "8600", "9464", "9465", "9091")


def script() -> str:
    """What the page types, for what is installed here."""
    page = (DOCS / "shop.md").read_text()
    found = re.findall(
        r"^```(?:sh|\{code-block\} sh\n:class: (\w+))\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    blocks = [block for needed, block in found if not needed or shutil.which(needed)]
    return "\n".join(["set -eux", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT", *blocks])


def main() -> int:
    """Paste the page; return 0 if it showed what it promises."""
    free = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))

    def moved(text: str) -> str:
        return re.sub("|".join(PORTS), lambda found: free[found[0]], text)

    with tempfile.TemporaryDirectory(prefix="holdfast-shop-") as folder:
        for name in ("told.py", "shop.mjs"):
            (Path(folder) / name).write_text(moved((DOCS / "examples" / name).read_text()))
        env = environment(HOME=folder, PATH=f"{BIN}:{os.environ['PATH']}")
        ended = subprocess.run(
            ["bash", "-c", moved(script())],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    print(ended.stdout)
    shown = (
        "\nKEY-7733-1892\n",
        '"event": "collected"',
        "\n403\n",
        'holdfast_flow_changes_total{kind="provision",status="done"} 1.0',
        "shop  127.0.0.1 (api)  start",
    )
    missing = [each for each in shown if each not in ended.stdout]
    for each in missing:
        print(f"missing: {each!r}", file=sys.stderr)
    return ended.returncode or int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
