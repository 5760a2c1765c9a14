"""The whole of Holdfast in one process, with every fault that the world has, from one seed.

`python -m tests.simulation --seed N` tells what happened under a seed, in order, with names.
"""
