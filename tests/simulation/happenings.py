"""What happens to a world between two steps of its processes. Each returns whether it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.process import Life
from tests.simulation.watching import told_twice

if TYPE_CHECKING:
    from tests.simulation.network import Socket
    from tests.simulation.world import World


def death(world: World) -> bool:
    life = _life(world)
    if life is not None:
        world.say(life.name, "is killed")
        life.kill()
    return life is not None


def clean_stop(world: World) -> bool:
    life = _life(world)
    if life is not None and not life.paused and not life.stuck:
        world.kernel.act(life, life.stop)
        return True
    return False


def second_runner(world: World) -> bool:
    if len(world.lives) > 1:
        return False
    world.new_life()
    return True


def pause(world: World) -> bool:
    life = _life(world)
    if life is None or life.paused:
        return False
    stand_still(world, life)
    return True


def stand_still(world: World, life: Life) -> None:
    """Pause a process, for which another one may step in, unless all is well by now."""
    if life.paused or not life.alive or not world.faults.active:
        return
    delay = world.kernel.between(0.01, 120)
    world.say(life.name, f"is paused for {delay:.1f} s")
    life.pause()
    world.kernel.after(delay, partial(_go_on, world, life))
    if world.random.random() < 0.7:
        world.new_life()


def _go_on(world: World, life: Life) -> None:
    if life.alive:
        world.say(life.name, "goes on")
        life.resume()


def standstill(world: World) -> bool:
    life = _life(world)
    if life is None or life.paused or life.stuck or life.stopping:
        return False
    delay = world.kernel.between(0.01, 400)
    world.say(life.name, f"stands still for {delay:.1f} s")
    life.get_stuck()
    world.kernel.after(delay, partial(_come_unstuck, world, life))
    if delay > world.watch.STILL:
        world.kernel.after(world.watch.STILL, partial(world.watch.stands_still, life))
    if world.random.random() < 0.7:
        world.new_life()
    return True


def _come_unstuck(world: World, life: Life) -> None:
    if life.alive and life.stuck:
        world.say(life.name, "turns again")
        life.come_unstuck()


def cut(world: World) -> bool:
    sockets = world.network.sockets
    if not sockets:
        return False
    world.random.choice(sockets).cut()
    return True


def half_dead(world: World) -> bool:
    sockets = world.network.sockets
    if not sockets:
        return False
    world.random.choice(sockets).fall_silent()
    return True


def line_cut(world: World) -> bool:
    ends = world.lines.ends
    if not ends:
        return False
    world.say("fault", "a line is cut")
    world.lines.cut(world.random.choice(ends))
    return True


def dead_line(world: World) -> bool:
    ends = world.lines.ends
    if not ends:
        return False
    world.say("fault", "a line is dead")
    world.lines.fall_silent(world.random.choice(ends))
    return True


def slow_lines(world: World) -> bool:
    world.lines.slowest = world.random.choice((0.002, 0.05, 0.5, 3.0))
    return True


def slow_network(world: World) -> bool:
    world.network.slowest = world.random.choice((0.002, 0.05, 0.5, 3.0))
    return True


def refusals(world: World) -> bool:
    world.network.refuses = world.random.choice((0.0, 0.3, 0.9))
    return True


def server_restart(world: World) -> bool:
    if not world.server.running:
        return False
    world.restart_server(world.kernel.between(0.1, 30))
    return True


def server_away(world: World) -> bool:
    if not world.server.running:
        return False
    world.note("forgot")
    world.restart_server(world.random.uniform(300, 1500))
    return True


def server_forgets(world: World) -> bool:
    if not world.server.running:
        return False
    world.note("forgot")
    world.restart_server(world.kernel.between(0.1, 30), forget=True)
    return True


def watcher_forgotten(world: World) -> bool:
    return _while_down(world, world.watching.forget)


def backup(world: World) -> bool:
    if not world.watching.has_backup or world.random.random() < 0.3:
        world.watching.back_up()
        return False
    return _while_down(world, world.watching.restore)


def offer_changes(world: World) -> bool:
    return _while_down(world, world.watching.change_offer)


def _while_down(world: World, change: Callable[[], object]) -> bool:
    if not world.server.running:
        return False
    world.watching.at_start(change)
    world.restart_server(world.kernel.between(0.1, 10))
    return True


def dies_before_it_tells(world: World, socket: Socket, text: str) -> None:
    """What has come is on the server's disk, and nobody hears of it."""
    socket.down.lose()
    world.kernel.after(0, lambda: server_restart(world))


def storage_away(world: World) -> bool:
    faults = world.faults
    if faults.away:
        return False
    faults.away = True
    world.say("fault", "the database is away")

    def back() -> None:
        if faults.away:
            faults.away = False
            world.say("fault", "the database is back")

    world.kernel.after(world.kernel.between(0.1, 60), back)
    return True


def slow_storage(world: World) -> bool:
    world.faults.slowness = world.random.choice((0.003, 0.05, 1.0, 15.0))
    return True


def clock_jumps(world: World) -> bool:
    jump = world.random.choice((-86400.0, -300.0, -5.0, 5.0, 300.0, 86400.0))
    world.offset += jump
    world.note("jumped")
    world.say("fault", f"the clock jumps by {jump:.0f} s")
    return True


def cancel(world: World) -> bool:
    names = [flow.name for flow in world.watch.flows.values() if not flow.finished]
    if not names:
        return False
    world.cancel(world.random.choice(names))
    return True


def retry(world: World) -> bool:
    for flow in world.watch.flows.values():
        if flow.finished and flow.status != "done" and flow.kind != "sim-receive":
            return world.retry(flow.name)
    return False


def stranger(world: World) -> bool:
    if world.stranger_count > 4 and "stranger" not in world.trouble:
        return False
    world.new_stranger(None)
    return True


def _life(world: World) -> Life | None:
    lives = [life for life in world.lives if life.alive]
    return world.random.choice(lives) if lives else None


HAPPENS: Mapping[str, Callable[[World], bool]] = {
    "death": death,
    "clean stop": clean_stop,
    "second runner": second_runner,
    "pause": pause,
    "standstill": standstill,
    "cut": cut,
    "half dead": half_dead,
    "line cut": line_cut,
    "dead line": dead_line,
    "slow lines": slow_lines,
    "slow network": slow_network,
    "refusals": refusals,
    "server restart": server_restart,
    "server away": server_away,
    "server forgets": server_forgets,
    "watcher forgotten": watcher_forgotten,
    "backup": backup,
    "offer changes": offer_changes,
    "storage away": storage_away,
    "slow storage": slow_storage,
    "clock jumps": clock_jumps,
    "cancel": cancel,
    "retry": retry,
    "stranger": stranger,
}

ARRIVES: Mapping[str, Callable[[World, Socket, str], object]] = {
    "arrival lost in a cut": lambda world, socket, text: socket.cut(),
    "arrival lost in silence": lambda world, socket, text: socket.fall_silent(),
    "arrival told twice": lambda world, socket, text: told_twice(socket, text),
    "server dies before it tells": dies_before_it_tells,
}
