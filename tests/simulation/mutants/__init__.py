"""Deliberately broken variants of Holdfast, each of which the simulator must find out.

A simulator that finds nothing proves nothing, unless it is known what it would find.
"""

from tests.simulation.mutants import dilation, flows, journal, transfers, watching, wormhole
from tests.simulation.mutants.mutant import MUTANTS, Gone, Mutant, Patches

__all__ = [
    "MUTANTS",
    "Gone",
    "Mutant",
    "Patches",
    "dilation",
    "flows",
    "journal",
    "transfers",
    "watching",
    "wormhole",
]
