"""A receiver may die before any call into the system; the next one ends right."""

import json
import subprocess
import sys
from pathlib import Path

from tests.journal.postgres import memory


def test_deaths(tmp_path: Path) -> None:
    """Whenever it dies, the name has everything or nothing, and the next life leaves just that."""
    run = [sys.executable, "-m", "tests.transfer.dying", str(memory() or tmp_path)]
    found = json.loads(subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout)
    assert set(found) == {"file", "folder", "kept", "overwritten", "linked"}
    for kind, deaths in found.items():
        assert len(deaths) > 15
        for first, second, between, names, whole in deaths:
            assert (first in (0, 9), second) == (True, 0), kind
            assert (between, names, whole) == (
                True,
                ["got.part" if kind == "kept" else "got"],
                True,
            ), kind
        assert deaths[-1][0] == 0
