"""The events that ``on_event`` is called with: each attempt, each wait, each outcome."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Attempt

__all__ = ["AttemptEvent", "Event", "OutcomeEvent", "QueueEvent", "SettleEvent", "WaitEvent"]


@frozen
class AttemptEvent:
    """An attempt ended, with success or failure."""

    call: int
    """The number of the call, unique among the client and its siblings."""
    operation: str
    """The client's method: ``upload_voice``, ``list_voices`` …"""
    subject: str
    """The ``custom_name``, or the uri."""
    attempt: Attempt


@frozen
class QueueEvent:
    """A call begins to wait for its first turn at the throttle."""

    call: int
    operation: str
    subject: str
    seconds: float
    """Until its turn, about."""
    ahead: int
    """Calls before it in the line."""


@frozen
class WaitEvent:
    """A call is about to wait before it tries again."""

    call: int
    operation: str
    subject: str
    seconds: float
    error: SiliconFlowError
    """The failure that is waited out."""


@frozen
class OutcomeEvent:
    """A call ended."""

    call: int
    operation: str
    subject: str
    seconds: float
    """Seconds from the beginning of the call to its end, waits included."""
    attempts: tuple[Attempt, ...]
    error: SiliconFlowError | None
    """The error that the call raised, or None if it succeeded."""


@frozen
class SettleEvent:
    """A bulk run waits before it looks for uploads of the last run: the service may still be storing them."""

    call: int
    """A number of its own, as if it were a call."""
    operation: str
    """``upload_many``."""
    subject: str
    """The journal."""
    seconds: float
    """What is left of ``settle`` since that run's end."""
    uploads: int
    """How many uploads of unknown result that run left."""


Event: TypeAlias = "AttemptEvent | QueueEvent | WaitEvent | OutcomeEvent | SettleEvent"
