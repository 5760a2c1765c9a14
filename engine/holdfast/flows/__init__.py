"""Flows: a wormhole and an application's own data, run to the end even through crashes."""

from holdfast.flows.base import Flow, UnknownFlow, flow
from holdfast.flows.tasks import Call, TaskFailed, task

__all__ = ["Call", "Flow", "TaskFailed", "UnknownFlow", "flow", "task"]
