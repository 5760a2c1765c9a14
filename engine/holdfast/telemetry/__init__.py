"""What machines are told of a service: metrics, whether it is well, and traces.

The engine and the journal tell observers what happens (`holdfast.flows.engine.observing`); this
room counts it for Prometheus, and answers on an address of its own (`pages`). No name of a flow, no
code and no uid is ever a label, and nothing that is asked there blocks the reactor or opens what is
sealed. Traces (`tracing`) are made from the journal, by a command of their own.

Metrics and traces need packages that are optional extras, and whoever imports this room's modules
has looked whether they are there.
"""
