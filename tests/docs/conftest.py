"""The examples as somebody runs them who has pasted them into a folder."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tests.harness.process import Child, environment
from tests.harness.server import MailboxServer

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples"

THEIRS = "ws://127.0.0.1:4000/v1"
"""The mailbox server that the manual names."""

Run = Callable[..., Child]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    with MailboxServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def run(tmp_path: Path, server: MailboxServer) -> Iterator[Run]:
    """Run an example, or any text as one, in a folder with all of them; `port` is for 8080."""
    children = []
    for each in EXAMPLES.glob("*.py"):
        text = each.read_text().replace(THEIRS, server.url)
        (tmp_path / each.name).write_text(text)

    def running(name: str, *words: str, text: str | None = None, port: int = 0, **io: int) -> Child:
        path = tmp_path / name
        if text is not None:
            path.write_text(text.replace(THEIRS, server.url))
        if port:
            path.write_text(re.sub(r"\b8080\b", str(port), path.read_text()))
        env = environment(PYTHONUNBUFFERED="1", PYTHONWARNINGS="error", HOME=str(tmp_path))
        child = Child([sys.executable, name, *words], env=env, cwd=tmp_path, **io)
        children.append(child)
        return child

    yield running
    for child in children:
        child.close()
    shutil.rmtree(tmp_path, ignore_errors=True)


def example(name: str) -> Any:
    """Import an example."""
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


# Imported once, because a flow can be registered only once.


@pytest.fixture(scope="session")
def ship_file() -> Any:
    return example("ship_file")


@pytest.fixture(scope="session")
def keep_file() -> Any:
    return example("keep_file")
