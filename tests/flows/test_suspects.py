"""A flow that ends the process that runs it is set aside in the end, and no other."""

from holdfast import Flow, flow
from holdfast.flows.engine.probation import PROBATION
from holdfast_journal.ownership.suspects import MOST_DEATHS
from tests.flows.world import World

REASON = "process after process ended while it ran, at last when it ran alone"


@flow("test-suspect", appid="example.com/suspects")
class Quiet(Flow):
    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)


def runs(world: World) -> set[str]:
    return {runner.taken.name for runner in world.engine.running.values()}


def test_the_one_that_ends_its_process(crashing: World) -> None:
    """It is put last, then tried alone, then set aside with the reason; the others are served."""
    for name in ("ann", "bad", "bob"):
        crashing.add(Quiet(), name)
    deaths = 0
    while not crashing.finished("bad"):
        crashing.serve()
        crashing.until(lambda: "bad" in runs(crashing) or crashing.finished("bad"))
        if not crashing.finished("bad"):
            crashing.crash()
            deaths += 1
    assert MOST_DEATHS - 4 <= deaths <= MOST_DEATHS
    assert (crashing.status("bad"), crashing.published("bad")["reason"]) == ("failed", REASON)
    assert runs(crashing) == {"ann", "bob"}
    crashing.advance(PROBATION + 1)
    assert [crashing.row(name).deaths for name in ("ann", "bob")] == [0, 0]
    assert crashing.published("ann")["code"]
    crashing.journal.retry("bad", None)
    crashing.until(lambda: "bad" in runs(crashing))
    assert crashing.row("bad").deaths == 0


def test_killed_again_and_again(crashing: World) -> None:
    """Whoever kills a worker again and again, each time after it has run a while, blames nobody."""
    for name in ("ann", "bob"):
        crashing.add(Quiet(), name)
    for _ in range(12):
        crashing.serve()
        crashing.advance(PROBATION + 1)
        assert runs(crashing) == {"ann", "bob"}
        assert {row.deaths for row in crashing.rows()} == {0}
        crashing.crash()
