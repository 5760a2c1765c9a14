"""What is quickly known of a database in use."""

from holdfast_journal import KeyRing
from tests.journal.conftest import Journals
from tests.journal.helpers import start

OLD, NEW = "6b" * 32, "6c" * 32


def test_revision_size_and_disk(url: str, journals: Journals) -> None:
    """How full the disk is, is known of a file; both know how large they are."""
    found = journals.open(url).checks.condition()
    assert found.revision == found.needed
    assert found.size > 0
    is_file = url.startswith("sqlite")
    assert (found.free is not None, found.total is not None) == (is_file, is_file)
    if found.free is not None and found.total is not None:
        assert 0 < found.free <= found.total


def test_keys(url: str, journals: Journals) -> None:
    """Which of them seals how many flows, and which is missing here."""
    old = journals.open(url, keys=KeyRing.parse(OLD, "test"))
    start(old, "ada")
    both = journals.open(url, keys=KeyRing.parse(f"{NEW} {OLD}", "test"))
    start(both, "bob", "cleo")
    uses = {each.id: each for each in both.checks.condition().keys}
    assert [(each.flows, each.seals, each.here) for each in uses.values()] == [
        (2, True, True),
        (1, False, True),
    ]
    new, _ = uses
    found = old.checks.condition()
    assert found.missing_keys == [new]
    assert both.checks.condition().missing_keys == []
