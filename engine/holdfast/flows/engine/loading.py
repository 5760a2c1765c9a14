"""Loading a flow from what the journal keeps of it, or making it from its parameters."""

from __future__ import annotations

import os

from attrs import frozen

from holdfast.core import checkpoint
from holdfast.core.exchange import Exchange
from holdfast.errors import WormholeError
from holdfast.flows import document
from holdfast.flows.base import Flow
from holdfast.shell.wormhole import hears_of_dilation
from holdfast_journal import TakenFlow


class NeedsTor(WormholeError):
    """The flow is for workers that connect through Tor, and this one does not."""

    advice = "it was started with --tor, and this worker connects without Tor"


@frozen
class Loaded:
    """A flow's own fields, what the engine knows of it, and its wormhole."""

    flow: Flow
    state: document.Checkpoint
    wormhole: checkpoint.SavedWormhole


def load(taken: TakenFlow, *, tor: bool) -> Loaded:
    """Return the flow as its last commit left it; or new, if it has not begun.

    Args:
        taken: the flow.
        tor: whether it would connect through Tor here.

    Raises:
        BadCheckpoint, UnknownFlow, NeedsTor: the flow cannot be loaded here.
    """
    loaded = _load(taken)
    if loaded.state.tor and not tor:
        raise NeedsTor
    return loaded


def _load(taken: TakenFlow) -> Loaded:
    if taken.checkpoint is None:
        params = document.Params.from_bytes(taken.params)
        flow = document.begin(taken.kind, params.params)
        state = document.Checkpoint(
            data={},
            wormhole={},
            published={"tor": "only"} if params.tor else {},  # operators wonder who may run it
            deadline=params.deadline,
            tor=params.tor,
        )
        return Loaded(
            flow,
            state,
            _new_wormhole(params.relay, params.appid, flow),
        )
    state = document.Checkpoint.from_bytes(taken.checkpoint)
    flow = document.restore(taken.kind, state.data)
    saved = checkpoint.load(state.wormhole)
    state.wormhole = {}  # from here on the wormhole has it
    if state.reopening:
        saved = _new_wormhole(saved.relay_url, saved.exchange.appid, flow)
    return Loaded(flow, state, saved)


def _new_wormhole(relay: str, appid: str, flow: Flow) -> checkpoint.SavedWormhole:
    exchange = Exchange(appid, os.urandom(5).hex(), flow.versions)
    exchange.talk.dilation = hears_of_dilation(flow)
    return checkpoint.SavedWormhole(relay, exchange, ())
