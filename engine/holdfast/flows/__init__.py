"""Flows: a wormhole and an application's own data, run to the end even through crashes."""

from holdfast.flows.activities import Activity, Session, Wanted, activity
from holdfast.flows.base import Flow, UnknownFlow, flow
from holdfast.flows.tasks import Call, TaskFailed, task

__all__ = [
    "Activity",
    "Call",
    "Flow",
    "Session",
    "TaskFailed",
    "UnknownFlow",
    "Wanted",
    "activity",
    "flow",
    "task",
]
