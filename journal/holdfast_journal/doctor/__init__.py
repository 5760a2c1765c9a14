"""The checks of flows, of the database around them, and of its keys."""

from holdfast_journal.doctor.checking import BACKUP
from holdfast_journal.doctor.condition import Condition
from holdfast_journal.doctor.examined import Examined, Finding, OpenedEntry
from holdfast_journal.doctor.health import Health, check
from holdfast_journal.doctor.soundness import Checks, Unattended, damage
from holdfast_journal.store.trouble import RESTORE

__all__ = [
    "BACKUP",
    "RESTORE",
    "Checks",
    "Condition",
    "Examined",
    "Finding",
    "Health",
    "OpenedEntry",
    "Unattended",
    "check",
    "damage",
]
