"""Reads an answer that is not a success: to the error that its status, code and message stand for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, cast

from siliconflow_voice.api.answers import BODY_KEPT, Answer, shown
from siliconflow_voice.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    GatewayTimeoutError,
    InsufficientBalanceError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    RealNameRequiredError,
    ServerError,
    UnexpectedRedirectError,
)

__all__ = ["code_of", "is_refusal", "refusal"]

_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: InsufficientBalanceError,
    403: PermissionDeniedError,
    404: NotFoundError,
    413: PayloadTooLargeError,
    503: OverloadedError,
    504: GatewayTimeoutError,
}
# The codes are from an older table of the vendor's, which is no longer published.
_BY_CODE: dict[int, type[APIStatusError]] = {
    20051: RealNameRequiredError,
    30001: InsufficientBalanceError,
    30005: RealNameRequiredError,
    30011: InsufficientBalanceError,
    30014: AuthenticationError,
}
_BUSY = frozenset({50505, 50508, 50603, 50609})
_LIMITS = {
    50601: "rpm", 50602: "tpm", 50604: "ipm", 50605: "ipd", 50606: "rpd", 50607: "rph", 50608: "rpd"
}  # fmt: skip
# The statuses of the codes in that table: a 200 with such a code means the same.
_STATUS_OF_CODE: dict[int, int] = {
    **dict.fromkeys(
        (20012, 20015, 20018, 20022, 20044, 20046, 20047, 20048, 20049, 20050, 20052, 20053, 20059, 20061,
         20062, 20082, 20083), 400),
    **dict.fromkeys(
        (20051, 30001, 30002, 30003, 30004, 30005, 30006, 30007, 30010, 30011, 30012, 30013, 30014), 403),
    20042: 413,
    20045: 413,
    20021: 451,
    **dict.fromkeys(_LIMITS, 429),
    **dict.fromkeys((50500, 50502, 50503, 50507, 50510, *range(60000, 60016)), 500),
    **dict.fromkeys(_BUSY, 503),
    **dict.fromkeys((50501, 50504, 50506, 50509), 504),
}  # fmt: skip

_LIMIT_NAMED = re.compile(r"\b([RTI]P[MHD])\b", re.IGNORECASE)
# A limit in a 403: accounts without identity verification get these.
_LIMIT_MET = re.compile(
    r"\b[RTI]P[MHD]\b.{0,60}\b(?:limit|quota|exceed)|\b(?:limit|quota|exceed).{0,60}\b[RTI]P[MHD]\b"
    r"|\brate[ -]?limit|\btoo many requests\b",
    re.IGNORECASE,
)
_DAY_NAMED = re.compile(r"\b(?:per day|daily)\b", re.IGNORECASE)
_TOLD_OTHERWISE = frozenset({400, 403})
_TITLE = re.compile(r"<title[^>]*>(.{,300}?)</title", re.IGNORECASE | re.DOTALL)


def is_refusal(document: Any) -> bool:
    """Return whether the document of a success has a code that stands for a refusal."""
    return code_of(document) in _STATUS_OF_CODE


def refusal(answer: Answer) -> APIStatusError:
    """Return the error that an answer's status, code and message stand for."""
    text = answer.text()
    code, message = _code_and_message(answer, text)
    facts: dict[str, Any] = {
        "status": answer.status,
        "code": code,
        "trace_id": answer.trace_id,
        "retry_after": _retry_after(answer.headers),
        "body": text,
    }
    status = answer.status
    if answer.is_success:
        status = _STATUS_OF_CODE.get(code or 0, 500)
    if _is_limit(status, code, message):
        named = _LIMIT_NAMED.search(message)
        kind = _LIMITS.get(code or 0) or (named.group(1).lower() if named else None)
        if kind is None and _DAY_NAMED.search(message):
            kind = "rpd"
        daily = kind is not None and kind.endswith("d")
        return (QuotaExhaustedError if daily else RateLimitError)(message, kind=kind, **facts)
    return _error_class(status, code)(message, **facts)


def code_of(document: Any) -> int | None:
    """Return the vendor's code, also where a gateway wraps it as ``{"error": {"code": …}}``.

    A number of ten digits or more is not a code, and would make messages long.
    """
    match document:
        case {"code": str(code)} if re.fullmatch(r"\d{1,9}", code, re.ASCII):
            return int(code)
        case {"code": int(code)} if not isinstance(code, bool) and abs(code) < 10**9:
            return code
        case {"error": {"code": code}}:
            return code_of({"code": code})
        case _:
            return None


def _is_limit(status: int, code: int | None, message: str) -> bool:
    if status == 429 or (code in _LIMITS and status != 503):
        return True
    return status in _TOLD_OTHERWISE and code not in _BY_CODE and bool(_LIMIT_MET.search(message))


def _error_class(status: int, code: int | None) -> type[APIStatusError]:
    if status < 500 and code in _BY_CODE:
        return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return UnexpectedRedirectError
    return ServerError if status >= 500 else APIStatusError


def _code_and_message(answer: Answer, text: str) -> tuple[int | None, str]:
    """Read an error's body, which may be an object, a string, a proxy's web page, or empty."""
    try:
        document = json.loads(answer.raw[: BODY_KEPT * 16])
    except (ValueError, RecursionError):
        title = _TITLE.search(text)
        document = f"a web page, {title.group(1).strip()!r}" if title else text
    match document:
        case dict():
            # Parsing removes escapes, which may have hidden a part of the key.
            message = answer.redact.beginning(_message(cast("dict[str, Any]", document)), BODY_KEPT)
            return code_of(document), shown(message or text)
        case str() if document.strip():
            return None, shown(answer.redact.beginning(document, BODY_KEPT))
        case _ if text.strip():
            return None, shown(text)
        case _:
            pass
    location = answer.header("location")
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "no message"
    return None, f"{phrase}, to {shown(location)}" if location else phrase


def _message(fields: dict[str, Any]) -> str:
    """Return the message in an error's object, or an empty string."""
    inner = fields.get("error")
    if isinstance(inner, dict) and (said := _message(cast("dict[str, Any]", inner))):
        return said
    messages = [fields.get(key) for key in ("message", "error", "msg")]
    return next((message for message in messages if isinstance(message, str) and message.strip()), "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After`` as seconds: a number of them, or a date, compared with the server's own clock."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return float(value)
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max((until - now).total_seconds(), 0.0)


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
