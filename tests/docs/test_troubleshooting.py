"""Each message that the manual explains is one that Holdfast can say."""

import re

import pytest

from tests.docs.conftest import DOCS

PAGE = (DOCS / "troubleshooting.md").read_text()
MESSAGES = re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def said() -> list[str]:
    """The sources, with a text that is written over several lines as one."""
    found = ""
    for root in ("engine", "journal"):
        for path in (DOCS.parent / root).rglob("*.py"):
            found += path.read_text() + "\n"
    return re.sub(r'"\s*\n\s*f?"', "", found).splitlines()


@pytest.mark.parametrize("message", MESSAGES)
def test_it_can_be_said(message: str, said: list[str]) -> None:
    """In the same order, with anything where the page has dots."""
    parts = message.replace('"', '\\"').split("...")
    longest = max(parts, key=len)
    assert len(longest) > 7, "too little to be found by"
    pattern = ".*".join(map(re.escape, parts))
    assert any(re.search(pattern, line) for line in said if longest in line), message


def test_no_row_is_overlooked() -> None:
    """Each row of each table begins with a message."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(MESSAGES) == len([row for row in rows if not row.startswith("| message |")])
