"""The examples of `docs/dilation.md`."""

import pytest

from tests.docs.conftest import Run
from tests.docs.test_library import CODE


def test_one_subchannel(run: Run) -> None:
    """The example's two ends use one subchannel, and both end."""
    answering = run("dilated.py")
    code = answering.wait_for(CODE)[1]
    asking = run("dilated.py", code).wait()
    assert (asking.status, asking.out, asking.err) == (0, "the other side says: GOOD DAY\n", "")
    ended = answering.wait()
    assert (ended.status, ended.err) == (0, "")


def test_the_three_endpoints(run: Run) -> None:
    """The control channel and one subchannel, as the first API had them."""
    first = run("dilated_endpoints.py")
    code = first.wait_for(CODE)[1]
    second = run("dilated_endpoints.py", code).wait()
    ended = first.wait()
    assert (second.status, second.err) == (ended.status, ended.err) == (0, "")
    assert second.out == "control: one file comes\nsubchannel: the file\n"
    assert ended.out == f"code: {code}\ncontrol: I am listening\nsubchannel: thanks\n"
