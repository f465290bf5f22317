"""What a client tells ``on_event``: each attempt, each wait, each outcome."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Attempt

__all__ = ["AttemptEvent", "Event", "OutcomeEvent", "QueueEvent", "WaitEvent"]


@frozen
class AttemptEvent:
    """An attempt ended, well or not."""

    call: int
    """Tells the calls of one client apart."""
    operation: str
    """The client's method: ``upload_voice``, ``list_voices`` …"""
    subject: str
    """What it is about: the ``custom_name``, or the uri."""
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
    """What it waits because of."""


@frozen
class OutcomeEvent:
    """A call ended."""

    call: int
    operation: str
    subject: str
    seconds: float
    """From the call to its end, waits included."""
    attempts: tuple[Attempt, ...]
    error: SiliconFlowError | None
    """What it raised, or None if it succeeded."""


Event: TypeAlias = "AttemptEvent | QueueEvent | WaitEvent | OutcomeEvent"
