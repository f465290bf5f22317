"""Reads the API's answers: to values, or to the errors that their statuses and codes stand for.

Nothing is raised here: what a parser returns is what the answer says, an error included.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, cast

from attrs import field, frozen

from siliconflow_voice.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    GatewayTimeoutError,
    InsufficientBalanceError,
    InvalidResponseError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    RealNameRequiredError,
    ServerError,
    SiliconFlowError,
    UnexpectedRedirectError,
)
from siliconflow_voice.models import Voice

__all__ = ["Answer", "parse_nothing", "parse_uri", "parse_voices"]

TRACE_ID = "x-siliconcloud-trace-id"

_BODY_KEPT = 4096
_MESSAGE_KEPT = 300

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
# The codes are of an older table of the vendor's, that is no longer published.
_BY_CODE: dict[int, type[APIStatusError]] = {
    20051: RealNameRequiredError,
    30001: InsufficientBalanceError,
    30005: RealNameRequiredError,
    30011: InsufficientBalanceError,
    30014: AuthenticationError,
}
_BUSY = {50505, 50508, 50603, 50609}
_LIMITS = {
    50601: "rpm", 50602: "tpm", 50604: "ipm", 50605: "ipd", 50606: "rpd", 50607: "rph", 50608: "rpd"
}  # fmt: skip
_LIMIT_NAMED = re.compile(r"\b([RTI]P[MHD])\b")
_URI = re.compile(r"speech:[\x21-\x7e]+")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


@frozen
class Answer:
    """An HTTP answer, whole, with its headers' names in lower case."""

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str])
    raw: bytes = b""
    overlong: bool = False
    """Whether it went on after *raw*, and was not read further."""
    limit: int = 1 << 20
    """Bytes that the body may have once it is decompressed."""
    key: str = field(default="", repr=False)
    """What is blotted out of all that is read of it: servers do echo keys."""

    @property
    def trace_id(self) -> str | None:
        """What the vendor's support asks for."""
        return _shown(self.header(TRACE_ID)) or None

    def header(self, name: str) -> str:
        """Give a header's value, or nothing."""
        value = self.headers.get(name, "")
        return value.replace(self.key, "***") if self.key else value

    def text(self) -> str:
        """Decompress and decode the body; what is neither UTF-8 nor sound is replaced or cut."""
        return self.body().decode("utf-8", "replace")

    def body(self) -> bytes:
        """Decompress the body, up to one byte more than the limit; what is not sound is empty."""
        body = self.raw
        # It was not asked for, but proxies do it. Bounded: a bomb is cut off like any overlong body.
        if self.header("content-encoding").lower() in {"gzip", "x-gzip", "deflate"}:
            try:
                body = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, self.limit + 1)
            except zlib.error:
                return b""
        return body.replace(self.key.encode(), b"***") if self.key else body


def parse_uri(answer: Answer) -> str | SiliconFlowError:
    """Return the uri of an uploaded voice, or the error that the answer is.

    A 2xx without a uri is an :exc:`InvalidResponseError`.
    """
    match _document(answer):
        case SiliconFlowError() as error:
            return error
        case {"uri": str(uri)} if _URI.fullmatch(uri):
            return uri
        case _:
            return _invalid(answer, "an upload was answered without a speech: uri")


def parse_voices(answer: Answer) -> list[Voice] | SiliconFlowError:
    """Return the account's voices, in any of the wrappings that the API was seen to use, or an error.

    A 2xx without a list of voices is an :exc:`InvalidResponseError`, never an empty list.
    """
    document: Any = _document(answer)
    if isinstance(document, SiliconFlowError):
        return document
    for _ in range(2):  # {"data": {"result": […]}} is the deepest
        if not isinstance(document, dict):
            break
        wrapping = cast("dict[str, Any]", document)
        document = next((wrapping[key] for key in ("results", "result", "data") if key in wrapping), None)
    if not isinstance(document, list):
        return _invalid(answer, "the list of voices has none of the known shapes")
    voices = [_voice(entry) for entry in cast("list[Any]", document)]  # type: ignore[redundant-cast] # which pyright misses
    if None in voices:
        return _invalid(answer, "the list of voices has an entry that is none")
    return cast("list[Voice]", voices)


def parse_nothing(answer: Answer) -> SiliconFlowError | None:
    """Return None for any 2xx, or the error that the status stands for."""
    return None if _is_success(answer) else _error(answer)


def _is_success(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _document(answer: Answer) -> Any:
    """Return a success's JSON, or the error that the answer is."""
    if not _is_success(answer):
        return _error(answer)
    body = answer.body()
    if answer.overlong or len(body) > answer.limit:
        return _invalid(answer, f"the answer has more than {answer.limit:,} bytes")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _invalid(answer, "the answer is not JSON")
    return _error(answer) if _code(document) in _BUSY else document


def _voice(entry: Any) -> Voice | None:
    match entry:
        case {"uri": str(uri)}:
            texts = [entry.get(key) for key in ("model", "customName", "text")]
            if all(isinstance(text, str | None) for text in texts):
                model, custom_name, text = (text or "" for text in texts)
                return Voice(uri, model, custom_name, text)
        case _:
            pass
    return None


def _invalid(answer: Answer, reason: str) -> InvalidResponseError:
    text = answer.text()
    return InvalidResponseError(
        f"HTTP {answer.status}, but {reason}: {_shown(text) or 'nothing'}",
        status=answer.status,
        trace_id=answer.trace_id,
        body=text[:_BODY_KEPT],
    )


def _error(answer: Answer) -> APIStatusError:
    """Find the error that a status, a code and a message stand for."""
    text = answer.text()
    code, message = _code_and_message(answer, text)
    facts: dict[str, Any] = {
        "status": answer.status,
        "code": code,
        "trace_id": answer.trace_id,
        "retry_after": _retry_after(answer.headers),
        "body": text[:_BODY_KEPT],
    }
    if answer.status == 429 or (code in _LIMITS and answer.status != 503):
        named = _LIMIT_NAMED.search(message)
        kind = _LIMITS.get(code or 0) or (named.group(1).lower() if named else None)
        daily = kind is not None and kind.endswith("d")
        return (QuotaExhaustedError if daily else RateLimitError)(message, kind=kind, **facts)
    return _error_class(answer.status, code)(message, **facts)


def _error_class(status: int, code: int | None) -> type[APIStatusError]:
    if status < 500 and code in _BY_CODE:
        return _BY_CODE[code]
    if 200 <= status < 300 and code in _BUSY:
        return OverloadedError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return UnexpectedRedirectError
    return ServerError if status >= 500 else APIStatusError


def _code_and_message(answer: Answer, text: str) -> tuple[int | None, str]:
    """Read an error's body, which may be an object, a string, a page of a proxy's, or nothing."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        title = _TITLE.search(text[:_BODY_KEPT])
        document = f"a web page, {title.group(1).strip()!r}" if title else text
    match document:
        case dict():
            fields = cast("dict[str, Any]", document)
            messages = [fields.get(key) for key in ("message", "error", "msg")]
            said = [message for message in messages if isinstance(message, str) and message.strip()]
            return _code(document), _shown(said[0] if said else text)
        case str() if document.strip():
            return None, _shown(document)
        case _ if text.strip():
            return None, _shown(text)
        case _:
            pass
    location = answer.header("location")
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "no message"
    return None, f"{phrase}, to {_shown(location)}" if location else phrase


def _code(document: Any) -> int | None:
    """Find the vendor's code; a number of ten digits is none, and would only make messages long."""
    match document:
        case {"code": str(code)} if re.fullmatch(r"\d{1,9}", code, re.ASCII):
            return int(code)
        case {"code": int(code)} if not isinstance(code, bool) and abs(code) < 10**9:
            return code
        case _:
            return None


def _shown(text: str) -> str:
    """Put a text of the server's on one line of bearable length."""
    line = " ".join(text[:_BODY_KEPT].split())
    shown = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line[:_MESSAGE_KEPT]
    )
    return shown if len(line) <= _MESSAGE_KEPT and len(text) <= _BODY_KEPT else f"{shown}…"


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
