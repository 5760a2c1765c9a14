"""``--at-once`` and ``--limit-rate``: what is taken, and what they do."""

from pathlib import Path

import click
import pytest

from holdfast.cli.limiting import Rate
from holdfast.flows.shipped.sharing import AT_ONCE, HERE
from holdfast.operating.sharing import Limits
from tests.cli.journals import run


@pytest.mark.parametrize(
    ("given", "rate"),
    [("16KB", 16_000), ("2MB", 2_000_000), ("2 mb/s", 2_000_000), ("500000 / s", 500_000)],
)
def test_rates(given: str, rate: int) -> None:
    assert Rate().convert(given, None, None) == rate


@pytest.mark.parametrize("given", ["", "fast", "15KB", "-2MB", "2MB/min", "0"])
def test_what_is_no_rate(given: str) -> None:
    with pytest.raises(click.BadParameter):
        Rate().convert(given, None, None)


def test_what_is_no_number(tmp_path: Path) -> None:
    for number in ("0", "-1", "many"):
        refused = run(tmp_path / "none.db", "run", "--at-once", number)
        assert refused.exit_code == 2
        assert "--at-once" in refused.stderr


def test_what_they_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold for the process, until somebody says otherwise."""
    for name in ("places", "throttle", "private"):
        monkeypatch.setattr(HERE, name, getattr(HERE, name))
    Limits(at_once=7, rate=50_000).obey(tmp_path)
    assert HERE.throttle is not None
    assert (HERE.places.limit, HERE.throttle.rate, HERE.private) == (7, 50_000, tmp_path)
    Limits().obey(tmp_path)
    assert (HERE.places.limit, HERE.throttle) == (AT_ONCE, None)
