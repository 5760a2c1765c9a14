"""Dilated wormholes in the simulation: our real ends, a modelled stock peer, and what goes wrong.

`python -m tests.simulation --dilation --seed N` tells what happened under a seed.
"""
