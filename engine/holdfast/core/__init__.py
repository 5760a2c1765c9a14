"""The protocol as values, without a reactor, socket, clock, database or random generator.

`exchange` is a wormhole's whole state: one event in, notices for the application out. `wanted`
says what a server must hear. The machines are modules of their own.

Where a module implements a section of the published protocol, it names the document and the
section, as in server-protocol.md, "Nameplates". The documents are in
https://github.com/magic-wormhole/magic-wormhole-protocols.
"""
