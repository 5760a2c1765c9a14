"""The modelled stock peer bears what the real one bears, and nothing else."""

from wormhole._dilation.manager import Manager

from tests.simulation.dilation.stock import TAKEN

INPUTS = {
    "rx_PLEASE": "please",
    "rx_HINTS": "connection-hints",
    "rx_RECONNECT": "reconnect",
    "rx_RECONNECTING": "reconnecting",
}


def test_what_may_be_said_to_it() -> None:
    """In each state of its manager, as `magic-wormhole` has it; after its end nothing matters."""
    real = {
        (state.method.__name__.lower(), INPUTS[said.method.__name__])
        for state, said, *_ in Manager.m._automaton.allTransitions()
        if said.method.__name__ in INPUTS
    }
    assert {(state, said) for state, said in real if state not in ("stopping", "stopped")} == TAKEN
