"""A world for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.world import Crashing, World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.stop()


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[Crashing]:
    made = Crashing(f"sqlite:///{tmp_path}/journal.db")
    yield made
    made.stop()
