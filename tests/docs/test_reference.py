"""The reference has every public name."""

import re

import pytest

import holdfast
import holdfast.server
import holdfast.testing
import holdfast_journal
import holdfast_journal.testing
from tests.docs.conftest import DOCS

PACKAGES = (
    holdfast,
    holdfast.server,
    holdfast.testing,
    holdfast_journal,
    holdfast_journal.testing,
)

PAGE = (DOCS / "api.md").read_text()
DOCUMENTED = set(re.findall(r"^ *\.\. auto\w+:: ([\w.]+)", PAGE, re.MULTILINE))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_there(package: object) -> None:
    """Each name of a package's `__all__` is documented, under its own name or the journal's."""
    home = package.__name__  # type: ignore[attr-defined]
    for name in package.__all__:  # type: ignore[attr-defined]
        assert getattr(package, name) is not None
        there = f"{home}.{name}" in DOCUMENTED
        assert there or (f"`{home}.{name}`" in PAGE and f"holdfast_journal.{name}" in DOCUMENTED)


def test_nothing_else_is_there() -> None:
    """No line of the reference is about something that is not public."""
    public = {f"{package.__name__}.{name}" for package in PACKAGES for name in package.__all__}
    others = {each for each in DOCUMENTED - public if "." in each}
    assert all(each.startswith("holdfast.status.") for each in others)
