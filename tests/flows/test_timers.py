"""Times that a flow waits for outlive the process; a deadline ends what nobody collects."""

import pytest
from attrs import field

from holdfast import Flow, flow
from holdfast.flows.shipped.provision import Provision
from tests.flows.world import World

APPID = "example.com/timers"


@flow("test-sleeper", appid=APPID)
class Sleeper(Flow):
    times: list[float]
    woken_at: list[float] = field(factory=list, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()
        self._sleep()

    def _sleep(self) -> None:
        self.wake_at(self.times[len(self.woken_at)])

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def woken(self) -> None:
        self.woken_at.append(self.now())
        self.publish(woken=" ".join(f"{at:g}" for at in self.woken_at))
        if len(self.woken_at) == len(self.times):
            self.finish()
        else:
            self._sleep()


def woken(world: World) -> list[float]:
    return [float(at) for at in str(world.published().get("woken") or "").split()]


def provision(world: World, deadline: float | None, name: str = "ann") -> None:
    world.add(Provision(name=name, secret="s3cr3t"), name, deadline=deadline)


def test_woken_once_at_each_time(world: World) -> None:
    """A flow is woken when it asked for that, not before, and once."""
    world.add(Sleeper(times=[100.0, 150.0, 1e9]))
    world.serve()
    world.advance(99, step=1)
    assert woken(world) == []
    world.advance(200, step=1)
    assert woken(world) == [pytest.approx(100, abs=1), pytest.approx(150, abs=1)]
    assert world.heard().count("timer: the flow is woken") == 2


def test_a_time_outlives_the_process(world: World) -> None:
    """What came due while nobody ran the flow is made good when somebody does."""
    world.add(Sleeper(times=[100.0, 150.0, 160.0, 1e9]))
    world.serve()
    world.advance(10)
    world.crash()
    world.advance(110, step=10)
    assert woken(world) == []
    world.serve()
    world.advance(1)
    assert woken(world) == [pytest.approx(120, abs=2)]
    world.advance(60, step=1)
    assert woken(world)[1:] == [pytest.approx(150, abs=1), pytest.approx(160, abs=1)]


def test_a_time_that_is_taken_back(world: World) -> None:
    """A later call replaces the time, and None takes it back."""
    world.add(Sleeper(times=[100.0]))
    world.serve()
    world.advance(10)
    [runner] = world.engine.running.values()
    runner.host.wake_at(50.0)
    runner.host.wake_at(None)
    world.advance(200, step=1)
    assert woken(world) == []


def test_nobody_collects(world: World) -> None:
    """At its deadline a flow ends as expired: its code is free, its secret can be read no more."""
    provision(world, 1000.0)
    world.serve()
    world.code()
    world.advance(990, step=10)
    assert world.status() == "waiting"
    world.until(world.finished, seconds=20)
    assert world.status() == "expired"
    assert world.server.tables().empty
    assert world.row().published is None, "the flow is shredded"
    assert any("deadline" in heard for heard in world.heard())


def test_a_deadline_while_nobody_ran_it(world: World) -> None:
    """A flow whose deadline has passed when it is loaded, is not offered to anybody any more."""
    provision(world, 300.0)
    world.serve()
    world.code()
    world.crash()
    world.advance(400)
    world.serve()
    world.until(world.finished, seconds=20)
    assert world.status() == "expired"
    assert world.server.tables().empty


def test_collected_in_time(world: World) -> None:
    """A deadline means nothing to a flow that is done."""
    provision(world, 1000.0)
    world.serve()
    peer = world.peer(world.code())
    peer.on_message = lambda peer, message: peer.send(b'{"answer": {"message_ack": "ok"}}')
    world.until(world.finished)
    assert world.status() == "done"
    world.advance(1100, step=10)
    assert world.status() == "done"


def test_somebody_is_collecting(world: World) -> None:
    """A recipient who is there at the deadline has ten minutes more, and no longer."""
    provision(world, 1000.0)
    world.serve()
    world.peer(world.code())
    world.advance(1100, step=10)
    assert world.status() == "exchanging"
    world.advance(499 - 10, step=10)
    assert world.status() == "exchanging"
    world.until(world.finished, seconds=30)
    assert world.status() == "expired"
