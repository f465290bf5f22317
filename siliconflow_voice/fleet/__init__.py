"""Many machines on one account: a throttle that processes share, and work spread by a queue in PostgreSQL."""

from importlib import import_module
from typing import TYPE_CHECKING

from siliconflow_voice.fleet.throttle import SharedThrottle

if TYPE_CHECKING:
    from siliconflow_voice.fleet.export import failures, results
    from siliconflow_voice.fleet.options import WorkerOptions
    from siliconflow_voice.fleet.state import FleetStatus, SubmissionStatus, WorkerStatus, status
    from siliconflow_voice.fleet.station import Tally
    from siliconflow_voice.fleet.submission import Submission, cancel, submit
    from siliconflow_voice.fleet.worker import app, work

__all__ = [
    "FleetStatus",
    "SharedThrottle",
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

_WORK = {
    "FleetStatus": "state",
    "Submission": "submission",
    "SubmissionStatus": "state",
    "Tally": "station",
    "WorkerOptions": "options",
    "WorkerStatus": "state",
    "app": "worker",
    "cancel": "submission",
    "failures": "export",
    "results": "export",
    "status": "state",
    "submit": "submission",
    "work": "worker",
}


def __getattr__(name: str) -> object:
    # A service that shares a throttle has no use for the queue: it is imported with the first of these names.
    if name not in _WORK:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WORK[name]}"), name)
