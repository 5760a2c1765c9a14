"""What happens to a dilated world between two steps. Each returns whether it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tests.simulation.dilation.ours import Ours
from tests.simulation.lines import End as LineEnd
from tests.simulation.network import Socket

if TYPE_CHECKING:
    from tests.simulation.dilation.world import World


def _one_of(world: World, things: list[Any]) -> Any:
    return world.random.choice(things) if things else None


def _death(world: World) -> bool:
    life = _one_of(world, [each for each in world.lives if isinstance(each, Ours)])
    if life is not None:
        life.kill()
    return life is not None


def _line_cut(world: World) -> bool:
    end: LineEnd | None = _one_of(world, world.lines.ends)
    if end is not None:
        world.lines.cut(end)
    return end is not None


def _dead_line(world: World) -> bool:
    end: LineEnd | None = _one_of(world, world.lines.ends)
    if end is not None:
        world.lines.fall_silent(end)
    return end is not None


def _slow_lines(world: World) -> bool:
    world.lines.slowest = world.random.choice((0.002, 0.05, 0.5, 3.0))
    return True


def _cut(world: World) -> bool:
    socket: Socket | None = _one_of(world, world.network.sockets)
    if socket is not None:
        socket.cut()
    return socket is not None


def _half_dead(world: World) -> bool:
    socket: Socket | None = _one_of(world, world.network.sockets)
    if socket is not None:
        socket.fall_silent()
    return socket is not None


def _slow_network(world: World) -> bool:
    world.network.slowest = world.random.choice((0.002, 0.05, 0.5, 3.0))
    return True


def _server_restart(world: World) -> bool:
    return world.restart_server(world.kernel.between(0.1, 30))


def _pause(world: World) -> bool:
    life = _one_of(world, [each for each in world.lives if isinstance(each, Ours)])
    if life is None or life.paused:
        return False
    life.pause()
    world.kernel.after(world.kernel.between(0.01, 120), life.resume)
    return True


def _relay_restart(world: World) -> bool:
    if world.relay is None or not world.relay.alive:
        return False
    world.relay.kill()
    world.kernel.after(world.kernel.between(0.1, 20), world.begin_relay)
    return True


HAPPENS: Mapping[str, Callable[[World], bool]] = {
    "death": _death,
    "line cut": _line_cut,
    "dead line": _dead_line,
    "slow lines": _slow_lines,
    "cut": _cut,
    "half dead": _half_dead,
    "slow network": _slow_network,
    "server restart": _server_restart,
    "pause": _pause,
    "relay restart": _relay_restart,
}
"""What happens between two steps; the rate is a number in a minute."""
