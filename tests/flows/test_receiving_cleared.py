"""What a receiver that is over clears up."""

from pathlib import Path

from holdfast.flows.shipped.receiving import Incoming
from holdfast.flows.shipped.transferring import Reach, Receiving, Target
from holdfast.transfer.landing import Landing
from holdfast.transfer.messages import Offer

KEY = "0" * 32


def receiving(folder: Path) -> Receiving:
    reach = Reach(bytes(32), 0, True, (), (), True)
    offer = Offer("file", "got", 4, 1, 4)
    return Receiving("landed", reach, offer, Target(str(folder), "got", ""), 0)


def test_what_is_hidden_goes(tmp_path: Path) -> None:
    """Whatever was received and has no name is removed."""
    made = Landing(tmp_path, "got", KEY)
    made.write([memoryview(b"half")])
    made.close()
    Incoming(KEY).clear(receiving(tmp_path), failed=False)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_to_be_removed(tmp_path: Path) -> None:
    """Where nothing is left nothing is touched: a process may end at any moment."""
    tmp_path.chmod(0o500)
    before = tmp_path.stat().st_mtime_ns
    Incoming(KEY).clear(receiving(tmp_path), failed=False)
    assert tmp_path.stat().st_mtime_ns == before
