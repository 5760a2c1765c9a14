"""Docstrings of both packages keep to one convention, which the manual renders.

Ruff checks their sections (pydocstyle's convention "google"); this checks what is inside a line.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(each for room in ("engine", "journal") for each in (ROOT / room).rglob("*.py"))

REFUSED = {
    "a role (write `name`)": re.compile(r":[\w:]+:`"),
    "a field (write a section such as Args:)": re.compile(r"^\s*:\w+[^:\n]*: ", re.MULTILINE),
    "double ticks (write `name`)": re.compile(r"``"),
    "stars around a name (write `name`)": re.compile(r"(?<![\w*`/])\*{1,2}[A-Za-z_][\w.]*\*"),
    "two spaces after a sentence": re.compile(r"""(?<!\.)[.!?:;]["')`]* {2,}(?=[^\s#])"""),
}


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of all docstrings, also of those below an attribute."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for statement in node.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str() as text)):
                    yield statement.lineno, text


def faults(source: str) -> list[str]:
    """Return what the convention refuses in the docstrings of a module, with lines."""
    return [
        f"line {line + text.count(chr(10), 0, found.start())}: {what}"
        for line, text in docstrings(ast.parse(source))
        for what, pattern in REFUSED.items()
        for found in pattern.finditer(text)
    ]


def test_docstrings_keep_to_the_convention() -> None:
    """They hold neither roles, fields, double ticks, stars around names, nor two spaces."""
    found = {str(path.relative_to(ROOT)): faults(path.read_text()) for path in FILES}
    assert {path: those for path, those in found.items() if those} == {}
    assert len(found) > 200


@pytest.mark.parametrize(
    "text",
    [
        "Return a :class:`Flow`.",
        "Begin.\n\n:param name: the flow's.",
        "Call ``create``.",
        "Bring *name* forward.",
        "Begin.  Then end.",
        "Say `no`.  Then end.",
    ],
)
def test_what_is_refused(text: str) -> None:
    """Each fault is found: in a module, a function, a class, and below an attribute."""
    quoted = f'"""{text}"""'
    assert faults(quoted)
    assert faults(f"def f():\n    {quoted}")
    assert faults(f"class C:\n    x = 1\n    {quoted}")


@pytest.mark.parametrize(
    "text",
    [
        "Return a `Flow`, `*.jsonl` or `**options`.",
        "Take *args and **kwargs.",
        "Begin. Then end.\n\nArgs:\n    name: the flow's.\n\n    a  ->  b",
        "Begin:\n\n    with flow:\n        ...  # run it",
    ],
)
def test_what_is_allowed(text: str) -> None:
    """Stars of Python's own, sections, and columns of a drawing."""
    assert faults(f'"""{text}"""') == []
