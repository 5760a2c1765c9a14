"""The protocol as values: no reactor, socket, clock, database or random generator.

`exchange` is a wormhole's whole state: one event in, notices for the application out.  `wanted`
says what a server must hear.  The machines are modules of their own.
"""
