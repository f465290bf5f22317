"""Says what a failure means for the voice that was to be made: one pure function."""

from __future__ import annotations

from siliconflow_voice.errors import (
    APIConnectionError,
    APIStatusError,
    InvalidResponseError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    SiliconFlowError,
)
from siliconflow_voice.models import Failure

__all__ = ["classify"]

_REQUEST_TIMEOUT = 408


def classify(error: SiliconFlowError, *, body_sent: bool) -> Failure:
    """Class a failed attempt.

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
