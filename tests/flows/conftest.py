"""A world for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.world import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[World]:
    made = World(f"sqlite:///{tmp_path}/journal.db")
    yield made
    made.close()
