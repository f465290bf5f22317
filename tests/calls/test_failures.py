from __future__ import annotations

import inspect
import re

import pytest

from siliconflow_voice import errors
from siliconflow_voice.calls.failures import classify, verdict_on
from siliconflow_voice.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AudioSourceError,
    BadRequestError,
    GatewayTimeoutError,
    InvalidResponseError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    SiliconFlowError,
)
from siliconflow_voice.models import Failure
from siliconflow_voice.throttle.limiter import Verdict

EXAMPLES: dict[str, list[SiliconFlowError]] = {
    "a daily 429 (``QuotaExhaustedError``)": [errors.QuotaExhaustedError("no", status=429, kind="rpd")],
    "429 otherwise, 503, a busy code": [
        errors.RateLimitError("no", status=429),
        errors.RateLimitError("no", status=429, kind="rph"),
        errors.OverloadedError("no", status=503),
        errors.OverloadedError("too busy", status=200, code=50609),
    ],
    "no answer, or one cut short": [errors.APIConnectionError("reset"), errors.APITimeoutError("stalled")],
    "5xx otherwise": [
        errors.ServerError("no", status=500),
        errors.ServerError("no", status=502),
        errors.GatewayTimeoutError("no", status=504),
    ],
    "408": [APIStatusError("no", status=408)],
    "a 2xx that is not what the API promises": [errors.InvalidResponseError("no JSON", status=200)],
    "anything else": [
        errors.BadRequestError("no", status=400),
        errors.AuthenticationError("no", status=401),
        errors.InsufficientBalanceError("no", status=402),
        errors.PermissionDeniedError("no", status=403),
        errors.RealNameRequiredError("no", status=403),
        errors.NotFoundError("no", status=404),
        errors.PayloadTooLargeError("no", status=413),
        APIStatusError("no", status=451),
        errors.UnexpectedRedirectError("no", status=308),
        errors.ConfigurationError("no key"),
        errors.ClientClosedError("closed"),
        errors.InvalidUploadError("text", "is empty"),
        errors.AudioSourceError("no such file"),
        errors.SourceConsumedError("was read already"),
        errors.SourceChangedError("shrank"),
        errors.AmbiguousUploadError("lost"),
        errors.JournalError("locked"),
        errors.ThrottleError("away"),
        errors.FleetError("away"),
        SiliconFlowError("no"),
    ],
}
COLUMNS = re.compile(r"^(\S.*?)  +(\S.*?)  +(\S.*)$", re.MULTILINE)
ROWS: dict[str, tuple[str, str]] = {
    row: (before, after)
    for row, before, after in COLUMNS.findall(inspect.getdoc(classify) or "")
    if not row.startswith(("=", "error"))
}


def test_each_row_of_the_docstrings_table_is_tested() -> None:
    assert list(EXAMPLES) == list(ROWS)


@pytest.mark.parametrize(("row", "error"), [(row, error) for row in EXAMPLES for error in EXAMPLES[row]])
@pytest.mark.parametrize("body_sent", [False, True], ids=["not handed over", "handed over"])
def test_a_failure_is_classed_as_the_table_says(row: str, error: SiliconFlowError, body_sent: bool) -> None:
    assert Failure(ROWS[row][body_sent]) == classify(error, body_sent=body_sent)


def test_each_kind_of_error_is_classed() -> None:
    classed = {type(error).__name__ for examples in EXAMPLES.values() for error in examples}
    assert set(errors.__all__) == classed


@pytest.mark.parametrize(
    ("error", "failure", "sending", "verdict"),
    [
        (RateLimitError("", status=429, kind="rpm"), Failure.REFUSED, True, Verdict.REQUESTS_REFUSED),
        (RateLimitError("", status=429, kind="rph"), Failure.REFUSED, True, Verdict.REQUESTS_REFUSED),
        (RateLimitError("", status=429, kind=None), Failure.REFUSED, True, Verdict.REQUESTS_REFUSED),
        (RateLimitError("", status=429, kind="tpm"), Failure.REFUSED, True, Verdict.TOKENS_REFUSED),
        (QuotaExhaustedError("", status=429, kind="rpd"), Failure.FINAL, True, Verdict.NEITHER),
        (QuotaExhaustedError("", status=429, kind="tpd"), Failure.FINAL, True, Verdict.NEITHER),
        (OverloadedError("", status=503), Failure.REFUSED, True, Verdict.OVERLOADED),
        (ServerError("", status=500), Failure.UNKNOWN, True, Verdict.NEITHER),
        (GatewayTimeoutError("", status=504), Failure.UNKNOWN, True, Verdict.NEITHER),
        (BadRequestError("", status=400), Failure.FINAL, True, Verdict.NEITHER),
        (APIConnectionError("reset"), Failure.NOT_SENT, True, Verdict.OVERLOADED),
        (APITimeoutError("stalled"), Failure.NOT_SENT, True, Verdict.OVERLOADED),
        (APIConnectionError("no connection"), Failure.NOT_SENT, False, Verdict.NEITHER),
        (APIConnectionError("lost"), Failure.UNKNOWN, True, Verdict.NEITHER),
        (InvalidResponseError("", status=200), Failure.UNKNOWN, True, Verdict.NEITHER),
        (AudioSourceError("unreadable"), Failure.FINAL, True, Verdict.NEITHER),
    ],
)
def test_a_failure_tells_the_throttle(
    error: SiliconFlowError, failure: Failure, sending: bool, verdict: Verdict
) -> None:
    assert verdict_on(error, failure, sending=sending) is verdict
