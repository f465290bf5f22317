"""Many machines on one account: a throttle that processes share, and work spread by a queue in PostgreSQL."""

from siliconflow_voice.fleet.export import failures, results
from siliconflow_voice.fleet.options import WorkerOptions
from siliconflow_voice.fleet.state import FleetStatus, SubmissionStatus, WorkerStatus, status
from siliconflow_voice.fleet.station import Tally
from siliconflow_voice.fleet.submission import Submission, cancel, submit
from siliconflow_voice.fleet.worker import app, work

__all__ = [
    "FleetStatus",
    "Submission",
    "SubmissionStatus",
    "Tally",
    "WorkerOptions",
    "WorkerStatus",
    "app",
    "cancel",
    "failures",
    "results",
    "status",
    "submit",
    "work",
]
