"""The answers of the emulated service, in the shapes that the vendor documents."""

from __future__ import annotations

import json
from http import HTTPStatus

from aiohttp import web
from attrs import evolve, field, frozen
from multidict import CIMultiDict

__all__ = [
    "Answer",
    "default_answer",
    "error_answer",
    "json_answer",
    "rate_limit_answer",
    "unverified_answer",
]

# Codes and messages where the vendor's answer to a status has the form {"code", "message", "data"}.
_OBJECTS: dict[int, tuple[int, str]] = {
    400: (20015, "The parameter is invalid. Please check it carefully."),
    402: (30001, "Sorry, your account balance is insufficient."),
    413: (20042, "The request entity is too large."),
    451: (20021, "The content was refused."),
    500: (50507, "Request processing has failed due to an unknown error."),
    503: (50505, "Model service overloaded. Please try again later."),
}
# Bodies where it is nothing but a JSON string.
_STRINGS: dict[int, str] = {
    401: "Invalid token",
    403: "Forbidden",
    404: "404 page not found",
    504: "504 Gateway Timeout",
}
_BODILESS = frozenset({204, 304})


@frozen
class Answer:
    """An HTTP answer before it is put on the wire."""

    status: int
    body: bytes = field(repr=False)
    code: int | None = None
    """SiliconFlow's code in the body."""
    content_type: str = "application/json"
    limit: bool = False
    """Whether it tells that a limit was met, where the status alone doesn't."""
    headers: tuple[tuple[str, str], ...] = ()
    """Added to, or in place of, the usual ones."""
    chunk_bytes: int | None = None
    """Bytes of each chunk, where the body is sent in chunks, without its length; None for a whole body."""

    @property
    def refuses(self) -> bool:
        """Whether it throttles: the request may be sent again later."""
        return self.limit or self.status in {429, 503}

    def headers_with(self, trace_id: str) -> CIMultiDict[str]:
        """Return all headers but ``Content-Length``."""
        headers = CIMultiDict({"Content-Type": self.content_type, "x-siliconcloud-trace-id": trace_id})
        headers.update(CIMultiDict(self.headers))
        return headers

    def response(self, trace_id: str) -> web.Response:
        """Return the response that aiohttp sends."""
        return web.Response(status=self.status, body=self.body, headers=self.headers_with(trace_id))


def json_answer(status: int, value: object, *, code: int | None = None) -> Answer:
    """Return an answer with ``value`` as JSON."""
    return Answer(status, json.dumps(value).encode(), code)


def error_answer(status: int, code: int, message: str) -> Answer:
    """Return an answer with the vendor's error object."""
    return json_answer(status, {"code": code, "message": message, "data": None}, code=code)


def rate_limit_answer(limit: str, *, code: int | None = None, message: str | None = None) -> Answer:
    """Return a 429 as documented, which is without a ``code``; ``limit`` is such as ``"RPM"``."""
    text = message or (
        "Request was rejected due to rate limiting. If you want more, please contact "
        f"contact@siliconflow.cn. Details:{limit} limit reached."
    )
    if code is None:
        return json_answer(429, {"message": text, "data": None})
    return error_answer(429, code, text)


def unverified_answer(limit: str) -> Answer:
    """Return a 403 for ``limit``, such as ``"RPM"``, as accounts without identity verification have it."""
    text = f"{limit} limit exceeded. Please complete identity verification to lift the restriction."
    return evolve(json_answer(403, text), limit=True)


def default_answer(status: int, *, code: int | None = None, message: str | None = None) -> Answer:
    """Return the answer that the vendor, or the proxy before it, has for ``status``."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return rate_limit_answer("TPM", code=code, message=message)
    if status in _BODILESS:
        return Answer(status, b"", code)
    if code is None and status in _STRINGS:
        return json_answer(status, message or _STRINGS[status])
    if code is None and message is None and status == HTTPStatus.BAD_GATEWAY:
        page = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
        return Answer(status, page, content_type="text/html")
    usual_code, usual_message = _OBJECTS.get(status, (None, _phrase(status)))
    code = usual_code if code is None else code
    return json_answer(status, {"code": code, "message": message or usual_message, "data": None}, code=code)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # none of the registered ones, such as 529
        return f"Status {status}"
