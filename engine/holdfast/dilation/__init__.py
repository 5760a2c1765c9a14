"""A wormhole as any number of channels over one direct connection at a time ("Dilation").

Here is what the two sides say on that connection and through the mailbox, as `magic-wormhole` 0.24
does (dilation-protocol.md). It knows a key and addresses, not wormholes.
"""
