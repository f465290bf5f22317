"""The one way that every request goes: throttle, payload, connection, answer, and again if need be."""

from __future__ import annotations

import asyncio
import itertools
import platform
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

import aiohttp
from attrs import define, field, frozen
from yarl import URL

from siliconflow_voice.api.requests import Request
from siliconflow_voice.api.responses import Answer
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.calls.call import AttemptGuard, Call, guarded
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.events import Event
from siliconflow_voice.calls.failures import classify
from siliconflow_voice.calls.retry import RetryPolicy
from siliconflow_voice.errors import AmbiguousUploadError, APIStatusError, SiliconFlowError
from siliconflow_voice.models import Attempt, Failure
from siliconflow_voice.throttle.throttle import Throttle, Verdict, verdict_on
from siliconflow_voice.transport.origin import Secret
from siliconflow_voice.transport.payload import RequestPayload, Transfer
from siliconflow_voice.transport.session import Connection, Timeouts
from siliconflow_voice.version import __version__

__all__ = ["Done", "Engine", "Progress"]

T = TypeVar("T")
Progress = Callable[[int, "int | None"], object]


@frozen
class Done(Generic[T]):
    """What a call came to."""

    value: T
    trace_id: str | None
    """Of the answer that it was read from."""
    attempts: tuple[Attempt, ...]


@define(eq=False)
class Engine:
    """Makes calls, with all that a client was configured with. Siblings share the connection."""

    key: Secret
    base_url: URL
    connection: Connection
    retry: RetryPolicy
    throttle: Throttle
    timeouts: Timeouts
    on_event: Callable[[Event], object] | None
    numbers: itertools.count[int] = field(factory=lambda: itertools.count(1), repr=False)
    _headers: dict[str, str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._headers = {
            "Authorization": Secret(f"Bearer {self.key}"),
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": (
                f"siliconflow-voice/{__version__} aiohttp/{aiohttp.__version__}"
                f" Python/{platform.python_version()}"
            ),
        }

    def until(self) -> float | None:
        """Give the loop's time at which a call that begins now has to be over, or None."""
        deadline = self.retry.deadline
        return None if deadline is None else self.connection.loop().time() + deadline

    async def call(
        self,
        request: Request,
        parse: Callable[[Answer], T],
        *,
        subject: str,
        deadline: Deadline,
        reading: Reading | None = None,
        size: int | None = None,
        progress: Progress | None = None,
        resend_unknown: bool = False,
        recover: Callable[[], Awaitable[T | None]] | None = None,
        lost: Callable[[], object] | None = None,
        guard: AttemptGuard | None = None,
    ) -> Done[T]:
        """Send a request until it succeeds, fails for good, or the policy has had enough.

        Args:
            request: What to send.
            parse: Reads an answer, or raises what it says.
            subject: What it is about, for events and logs.
            deadline: When all must be over.
            reading: The audio between the envelope's halves.
            size: Its bytes, or None for a stream.
            progress: Told the bytes of audio sent, and *size*.
            resend_unknown: Whether to send again what may have been stored.
            recover: Looks for what an unknown outcome may have stored; gives None if it is not there.
            lost: Told at the end, if what was sent may be stored and nobody knows.
            guard: Told of each attempt's beginning and end.
        """
        call = Call(
            number=next(self.numbers),
            request=request,
            subject=subject,
            gate=self.throttle.gate(str(self.base_url), request.model),
            on_event=self.on_event,
            reading=reading,
            deadline=deadline,
            resend_unknown=resend_unknown,
            retries=self.retry.attempts > 1,
            lost=lost,
            guard=guard,
        )
        on_sent: Callable[[int], None] | None = None
        if progress is not None:
            on_sent = partial(_report, progress, size)

        attempt = partial(self._attempt, call, parse, size, on_sent)
        try:
            done = await self.retry.call(
                partial(_try, call, attempt, recover),
                retryable=call.retryable,
                before_wait=call.waiting,
                until=lambda: deadline.last_attempt,
            )
        except asyncio.CancelledError as cancelled:
            call.cancelled(cancelled)
            raise
        except SiliconFlowError as error:
            final = call.gave_up(error)
        else:
            call.ended()
            return Done(done.value, done.trace_id, call.history)
        raise final

    async def _attempt(
        self,
        call: Call,
        parse: Callable[[Answer], T],
        size: int | None,
        on_sent: Callable[[int], None] | None,
    ) -> Done[T]:
        verdict, retry_after = Verdict.NEITHER, None
        transfer = Transfer(on_sent)
        request, headers, payload = call.request, self._headers, None
        if request.envelope is not None:
            blocks = None
            if call.reading is not None:
                most = call.reading.most
                blocks = call.reading.blocks() if most is None else call.reading.bounded(most)
            payload = RequestPayload(request.envelope, blocks, 0 if blocks is None else size, transfer)
            headers = {**headers, "Content-Type": request.envelope.content_type}
        try:
            if call.guard is not None:
                await call.guard.begins()
            answer = await self.connection.send(
                request,
                self.base_url / request.path,
                headers=headers,
                payload=payload,
                transfer=transfer,
                timeouts=self.timeouts,
                until=call.deadline.last_attempt,
                key=self.key,
            )
            value = parse(answer)
        except asyncio.CancelledError:
            call.may_be_stored |= transfer.body_sent
            raise
        except SiliconFlowError as error:
            call.failed(error, classify(error, body_sent=transfer.body_sent))
            verdict = verdict_on(error, sending=transfer.sent > 0)
            retry_after = error.retry_after if isinstance(error, APIStatusError) else None
            raise
        else:
            verdict = Verdict.ACCEPTED
            call.succeeded(answer.status, answer.trace_id)
            return Done(value, answer.trace_id, ())
        finally:
            call.leave(verdict, retry_after=retry_after)


def _report(progress: Progress, size: int | None, sent: int) -> None:
    guarded(progress, sent, size)


async def _try(
    call: Call, attempt: Callable[[], Awaitable[Done[T]]], recover: Callable[[], Awaitable[T | None]] | None
) -> Done[T]:
    """Make an attempt when it has its turn, and look for what it may have stored."""
    await call.enter()
    try:
        return await _attempt_or_find(call, attempt, recover)
    finally:
        if call.guard is not None:
            call.guard.ended()


async def _attempt_or_find(
    call: Call, attempt: Callable[[], Awaitable[Done[T]]], recover: Callable[[], Awaitable[T | None]] | None
) -> Done[T]:
    try:
        return await attempt()
    except SiliconFlowError as error:
        if recover is None or error.failure is not Failure.UNKNOWN:
            raise
        unknown = error
    found = await _recovered(recover, unknown)
    if found is None:
        call.may_be_stored = False
        unknown.failure = Failure.NOT_SENT
        raise unknown
    return found


async def _recovered(recover: Callable[[], Awaitable[T | None]], unknown: SiliconFlowError) -> Done[T] | None:
    """Find what was stored though its answer was lost; None if it wasn't."""
    try:
        found = await recover()
    except AmbiguousUploadError as error:
        error.failure = Failure.UNKNOWN
        raise error from unknown
    return None if found is None else Done(found, None, ())
