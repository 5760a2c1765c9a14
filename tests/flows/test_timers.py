"""Times that a flow waits for outlive the process; a deadline ends what nobody collects."""

import pytest
from attrs import field

from holdfast import Flow, flow
from holdfast.flows.document import new_flow
from holdfast.flows.shipped.provision import Provision
from tests.flows.world import BATCH, URL, World

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
    person = Provision(name=name, secret="s3cr3t")
    new = new_flow(name, person, relay=URL, appid=person.appid, deadline=deadline)
    world.journal.start_flows(BATCH, [new])


def test_woken_once_at_each_time(world: World) -> None:
    """A flow is woken when it asked for that, not before, and once."""
    world.add(Sleeper(times=[100.0, 150.0, 1e9]))
    world.start()
    world.rest(99, step=1)
    assert woken(world) == []
    world.rest(200, step=1)
    assert woken(world) == [pytest.approx(100, abs=1), pytest.approx(150, abs=1)]
    assert world.heard().count("timer: the flow is woken") == 2


def test_a_time_outlives_the_process(world: World) -> None:
    """What came due while nobody ran the flow is made good when somebody does."""
    world.add(Sleeper(times=[100.0, 150.0, 160.0, 1e9]))
    world.start()
    world.rest(10)
    world.kill()
    world.rest(110, step=10)
    assert woken(world) == []
    world.start()
    world.rest(1)
    assert woken(world) == [pytest.approx(120, abs=2)]
    world.rest(60, step=1)
    assert woken(world)[1:] == [pytest.approx(150, abs=1), pytest.approx(160, abs=1)]


def test_a_time_that_is_taken_back(world: World) -> None:
    """A later call replaces the time, and None takes it back."""
    world.add(Sleeper(times=[100.0]))
    world.start()
    world.rest(10)
    [runner] = world.engine.running.values()
    runner.host.wake_at(50.0)
    runner.host.wake_at(None)
    world.rest(200, step=1)
    assert woken(world) == []


def test_nobody_collects(world: World) -> None:
    """At its deadline a flow ends as expired: its code is free, its secret can be read no more."""
    provision(world, 1000.0)
    world.start()
    world.code()
    world.rest(990, step=10)
    assert world.status() == "waiting"
    world.until(world.finished, seconds=20)
    assert world.status() == "expired"
    assert world.server.empty
    assert world.row().published is None, "the flow is shredded"
    assert any("deadline" in heard for heard in world.heard())


def test_a_deadline_while_nobody_ran_it(world: World) -> None:
    """A flow whose deadline has passed when it is loaded, is not offered to anybody any more."""
    provision(world, 1000.0)
    world.start()
    world.code()
    world.kill()
    world.reactor.advance(2000)
    world.start()
    world.until(world.finished, seconds=20)
    assert world.status() == "expired"
    assert world.server.empty


def test_collected_in_time(world: World) -> None:
    """A deadline means nothing to a flow that is done."""
    provision(world, 1000.0)
    world.start()
    peer = world.peer(world.code(), Provision.appid)
    peer.on_message = lambda peer, message: peer.wormhole.send_message(
        b'{"answer": {"message_ack": "ok"}}'
    )
    world.until(world.finished)
    assert world.status() == "done"
    world.rest(1100, step=10)
    assert world.status() == "done"


def test_somebody_is_collecting(world: World) -> None:
    """A recipient who is there at the deadline has ten minutes more, and no longer."""
    provision(world, 1000.0)
    world.start()
    world.peer(world.code(), Provision.appid)
    world.rest(1100, step=10)
    assert world.status() == "exchanging"
    world.rest(499 - 10, step=10)
    assert world.status() == "exchanging"
    world.until(world.finished, seconds=30)
    assert world.status() == "expired"
