"""The shell around the core: everything between an application and the values of `holdfast.core`.

`wormhole` makes one event happen; the other modules each know one thing that it needs for that.
"""
