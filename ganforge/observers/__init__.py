"""Observers: what is done with a run's reports."""

from ganforge.observers.base import Observer, Session, observe
from ganforge.observers.checkpoints import Checkpoints, Interval
from ganforge.observers.incidents import Incidents
from ganforge.observers.jsonl import JsonLog
from ganforge.observers.patience import Patient
from ganforge.observers.snapshots import Snapshots
from ganforge.observers.watchdog import Watchdog

__all__ = [
    "Checkpoints",
    "Incidents",
    "Interval",
    "JsonLog",
    "Observer",
    "Patient",
    "Session",
    "Snapshots",
    "Watchdog",
    "observe",
]
