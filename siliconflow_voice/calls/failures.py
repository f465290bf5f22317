"""What a failure means for the voice, for the throttle and for the connection. Pure."""

from __future__ import annotations

from typing import Any

from siliconflow_voice.calls.operation import Failed, Outcome
from siliconflow_voice.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    InvalidResponseError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    SiliconFlowError,
)
from siliconflow_voice.models import Failure
from siliconflow_voice.throttle.limiter import Verdict
from siliconflow_voice.transport.payload import Transfer

__all__ = ["classify", "is_stale", "verdict_on"]

_REQUEST_TIMEOUT = 408


def classify(error: SiliconFlowError, *, body_sent: bool) -> Failure:
    """Return the class of a failed attempt.

    ==========================================  ========================  =====================
    error                                       body not handed over      body handed over whole
    ==========================================  ========================  =====================
    a daily 429 (``QuotaExhaustedError``)       final                     final
    429 otherwise, 503, a busy code             refused                   refused
    no answer, or one cut short                 not sent                  unknown
    5xx otherwise                               not sent                  unknown
    408                                         not sent                  not sent
    a 2xx that is not what the API promises     unknown                   unknown
    anything else                               final                     final
    ==========================================  ========================  =====================
    """
    unfinished = Failure.UNKNOWN if body_sent else Failure.NOT_SENT
    match error:
        case QuotaExhaustedError():
            return Failure.FINAL
        case RateLimitError() | OverloadedError():
            return Failure.REFUSED
        case APIConnectionError() | ServerError():
            return unfinished
        case APIStatusError(status=status) if status == _REQUEST_TIMEOUT:
            return Failure.NOT_SENT
        case InvalidResponseError():
            return Failure.UNKNOWN
        case _:
            return Failure.FINAL


def verdict_on(error: SiliconFlowError, failure: Failure, *, sending: bool) -> Verdict:
    """Return what a failure means for the throttle; *sending* is whether part of the body was sent."""
    match error:
        case RateLimitError(kind=kind) if failure is Failure.REFUSED:
            return Verdict.TOKENS_REFUSED if kind == "tpm" else Verdict.REQUESTS_REFUSED
        case OverloadedError():
            return Verdict.OVERLOADED
        case APIConnectionError() if failure is Failure.NOT_SENT and sending:
            # A reset while the body was sent is mostly a refusal whose words were lost.
            return Verdict.OVERLOADED
        case _:
            return Verdict.NEITHER


def is_stale(outcome: Outcome[Any], transfer: Transfer) -> bool:
    """Return whether an attempt failed only because its connection had been closed while it was idle."""
    return (
        isinstance(outcome, Failed)
        and outcome.failure is Failure.NOT_SENT
        and transfer.reused
        and isinstance(outcome.error, APIConnectionError)
        and not isinstance(outcome.error, APITimeoutError)
    )
