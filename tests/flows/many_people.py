"""Many people who wait for what `provision` hands over, for tests of how they wait."""

from typing import Any

from holdfast.flows.document import new_flow
from holdfast.flows.shipped.provision import Provision
from tests.flows.world import BATCH, URL, World


def people(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


def add(world: World, names: list[str], deadline: float | None = None) -> None:
    flows = [Provision(name=name, secret=f"secret of {name}") for name in names]
    new = [
        new_flow(flow.name, flow, relay=URL, appid=flow.appid, deadline=deadline) for flow in flows
    ]
    world.journal.start_flows(BATCH, new)


def codes(world: World) -> dict[str, str]:
    shown = {row.name: (row.published or {}).get("code") for row in world.rows()}
    return {name: str(code) for name, code in shown.items() if code}


def accept(peer: Any, message: bytes) -> None:
    peer.send(b'{"answer": {"message_ack": "ok"}}')
