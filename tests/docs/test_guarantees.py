"""Every promise of the manual names tests that prove it, and each of them exists."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.docs.conftest import DOCS

PAGE = (DOCS / "guarantees.md").read_text()
ROOT = Path(__file__).parents[2]


@cache
def names_in(file: Path) -> set[str]:
    """The tests of a file, as pytest calls them."""

    def names(body: list[ast.stmt], prefix: str) -> set[str]:
        found = set()
        for each in body:
            if isinstance(each, ast.ClassDef):
                found |= names(each.body, f"{prefix}{each.name}::")
            elif isinstance(each, ast.FunctionDef) and each.name.startswith("test_"):
                found.add(prefix + each.name)
        return found

    return names(ast.parse(file.read_text()).body, "")


def test_every_named_test_exists() -> None:
    """No promise leans on a test that was renamed or dropped."""
    named = re.findall(r"`(tests/[^`]*)`", PAGE)
    assert len(named) > 50
    for each in named:
        file, _, test = each.partition("::")
        assert test in names_in(ROOT / file), each


def test_every_promise_has_one() -> None:
    """Each section but the last, which says what is not promised, names a test."""
    *promises, rest = PAGE.split("\n## ")[1:]
    assert len(promises) > 10
    assert rest.startswith("What is not guaranteed")
    for section in promises:
        assert "`tests/" in section, section.splitlines()[0]
