"""What machines are told of a service: metrics for Prometheus, and whether it is well.

The engine and the journal tell observers what happens (`holdfast.flows.engine.observing`); this
room counts it, and answers on an address of its own. No name of a flow, no code and no uid is ever
a label, and nothing that is asked here blocks the reactor or opens what is sealed.

Metrics need the package `prometheus-client`, an optional extra; `listening` says so if it is not
installed.
"""
