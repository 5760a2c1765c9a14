"""The drawings in the manual are those of the machines in the code."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def drawer() -> Any:
    """The script as a module."""
    spec = spec_from_file_location("draw_machines", DOCS / "draw_machines.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawings_are_up_to_date() -> None:
    """Each committed picture is what the script draws now: run `python docs/draw_machines.py`."""
    expected = drawer().drawings()
    assert {path: path.read_text(encoding="utf-8") for path in expected} == expected
    assert set((DOCS / "machines").glob("*.svg")) == set(expected)


def test_the_manual_shows_every_machine() -> None:
    """The page on the architecture shows every picture."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for path in drawer().drawings():
        assert f"](machines/{path.name})" in page
