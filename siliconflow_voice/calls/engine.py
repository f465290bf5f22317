"""The one way that every request goes: throttle, attempt, answer, and a retry if need be."""

from __future__ import annotations

import asyncio
import itertools
from typing import TypeVar

from attrs import define

from siliconflow_voice.calls.call import Call
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.history import History
from siliconflow_voice.calls.operation import Operation, Success
from siliconflow_voice.calls.settings import Settings
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.transport.channel import Channel

__all__ = ["Engine"]

T = TypeVar("T")


@define(eq=False)
class Engine:
    """Makes the calls of a client."""

    settings: Settings
    channel: Channel
    throttle: Throttle
    numbers: itertools.count[int]

    def until(self) -> float | None:
        """Return the loop's time at which a call that begins now has to be over, or None.

        Raises:
            ConfigurationError: The client is closed, or used in another event loop.
        """
        now, deadline = self.channel.connection.loop().time(), self.settings.retry.deadline
        return None if deadline is None else now + deadline

    async def call(self, operation: Operation[T], deadline: Deadline) -> Success[T]:
        """Carry out an operation, until it succeeds, fails for good, or the policy allows no more attempts.

        Raises:
            SiliconFlowError: It failed; the error has the history of the call.
        """
        request, settings = operation.request, self.settings
        call = Call(
            operation,
            self.throttle.gate(str(settings.base_url), request.model),
            deadline,
            self.channel,
            History(next(self.numbers), request.operation, operation.subject, settings.on_event),
            settings.retry.attempts > 1,
        )
        try:
            outcome = await settings.retry.call(call)
        except asyncio.CancelledError as cancelled:
            call.cancelled(cancelled)
            raise
        return call.over(outcome)
