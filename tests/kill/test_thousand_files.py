"""Files for many people, through kills: a small one of `tests.harness.thousand_files`."""

import random
from pathlib import Path

import pytest

from tests.harness.thousand_files import Run

pytestmark = pytest.mark.long


def test_a_few_people(tmp_path: Path) -> None:
    """Everybody has theirs, once; what a kill has cut off came with another code."""
    run = Run(tmp_path, people=5, size=300_000, kills=1, at_once=3, rng=random.Random(1))
    story = run.run()
    assert story.lives >= 2
    assert 0 < story.peak < 150
