"""Every fault: its moments, its kind, and the class and words of the error that it must be met with."""

from __future__ import annotations

from siliconflow_voice import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    GatewayTimeoutError,
    InvalidResponseError,
    OverloadedError,
    PayloadTooLargeError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    SiliconFlowError,
    UnexpectedRedirectError,
)
from support.faults import acts
from support.faults.acts import (
    GOOD,
    HTML,
    answers,
    chunk,
    chunked,
    fin,
    hang,
    in_body,
    in_handshake,
    in_headers,
    redirect,
    rst,
    sends,
    then,
)
from support.faults.rules import (
    ACCEPT,
    AFTER,
    ANSWER,
    BODY,
    CONNECT,
    ENCODINGS,
    HANDSHAKE,
    HEADERS,
    SOURCES,
    Case,
    Fault,
    Kind,
)
from support.faults.stage import Act, Lookup, Moment

EARLY = (ACCEPT, BODY)
WHOLE = (ACCEPT, BODY, AFTER)  # when a whole answer may come


def _no_answer(name: str, act: Act, *moments: Moment, says: str) -> Fault:
    return Fault(name, moments, Kind.NO_ANSWER, APIConnectionError, says, act)


def _timeout(name: str, act: Act, *moments: Moment, says: str) -> Fault:
    return Fault(name, moments, Kind.NO_ANSWER, APITimeoutError, says, act)


def _answered(
    status: str, kind: Kind, met: type[SiliconFlowError], says: str, *, body: bytes = b"{}", name: str = ""
) -> Fault:
    name = name or f"{status[:3]}, then FIN"
    return Fault(name, WHOLE, kind, met, says, then(answers(status, body), fin))


def _refusal(name: str, act: Act, kind: Kind, met: type[SiliconFlowError], says: str) -> Fault:
    return Fault(name, (ANSWER,), kind, met, says, act)


def _broken(name: str, act: Act, *moments: Moment, says: str) -> Fault:
    return Fault(name, moments, Kind.BROKEN_PROMISE, InvalidResponseError, says, act)


def _lookup(name: str, lookup: Lookup, met: type[SiliconFlowError], says: str) -> Fault:
    return Fault(name, (CONNECT,), Kind.NO_ANSWER, met, says, hang, lookup)


def _certificate(name: str, *, says: str) -> Fault:
    fault = f"certificate {name}"
    return Fault(fault, (HANDSHAKE,), Kind.NO_ANSWER, APIConnectionError, says, hang, certificate=name)


def _redirected(status: str, *, says: str) -> Fault:
    name = f"{status[:3]} to another origin"
    return Fault(name, WHOLE, Kind.NO, UnexpectedRedirectError, says, redirect(status))


def _harmless(name: str, head: bytes) -> Fault:
    return Fault(name, WHOLE, Kind.HARMLESS, None, "", then(sends(head + b"\r\n"), acts.go_on))


_BUSY = b'{"code":50505,"message":"Model service overloaded."}'
_DAILY = b'{"message":"Request was rejected due to rate limiting. Details: RPD limit reached."}'
_NO_SHAPE = b'{"data":{"id":7}}'
_503 = "503 Service Unavailable"
_TOO_SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
_SSH = b"SSH-2.0-OpenSSH_9.2\r\n"

# What more than one fault is met with; "…" stands for what differs from run to run.
_SENT = "; … bytes had been sent"
_ALL_SENT = "; all was sent, and no answer came"
_STALLED = "stalled: no byte moved for 5 s"
_TOO_LONG = "took longer than 12 s"
_CLOSED = "127.0.0.1 closed the connection without an answer"
_RESET = "The connection to 127.0.0.1 broke: Connection reset by peer"
_NOT_HTTP = "The answer of 127.0.0.1 is not valid HTTP"
_CUT_SHORT = "The answer of 127.0.0.1 was cut short"
_UNCONNECTED = "No connection to voice.localhost"
_BAD_CERTIFICATE = "The TLS certificate of voice.localhost is not valid: "
_WEB_PAGE = "a web page, 'It works'"
_TOO_MUCH = "HTTP 200, but the answer has more than 1,048,576 bytes"
_NOT_JSON = "the answer is not JSON"
_NO_URI = "HTTP 200, but an upload was answered without a speech: uri: "

FAULTS = (
    _lookup("DNS failure", acts.no_such_name, APIConnectionError, "name voice.localhost can't be resolved"),
    _lookup("DNS hang", acts.silent_names, APITimeoutError, f"{_UNCONNECTED} in time"),
    _lookup("refused", acts.wrong_port, APIConnectionError, f"{_UNCONNECTED}: Connect call failed"),
    # TLS
    _timeout("hang", in_handshake(hang), HANDSHAKE, says=f"{_UNCONNECTED} in time"),
    _no_answer("FIN", in_handshake(fin), HANDSHAKE, says=_UNCONNECTED),
    _no_answer("RST", in_handshake(rst), HANDSHAKE, says=f"{_UNCONNECTED}: Connection reset by peer"),
    _no_answer("garbage", sends(_SSH), HANDSHAKE, says=_UNCONNECTED),  # the rest are OpenSSL's words
    _no_answer("plain HTTP", answers("400 Bad Request", HTML), HANDSHAKE, says=_UNCONNECTED),
    _certificate("expired", says=f"{_BAD_CERTIFICATE}certificate has expired"),
    _certificate("of another host", says=f"{_BAD_CERTIFICATE}Hostname mismatch"),
    _certificate("of an unknown authority", says=f"{_BAD_CERTIFICATE}unable to get local issuer certificate"),
    # No answer, or not all of it
    _timeout("hang", hang, *EARLY, says=_STALLED + _SENT),
    _timeout("hang", hang, AFTER, says=_TOO_LONG + _ALL_SENT),
    _timeout("hang", in_headers(hang), HEADERS, says=_TOO_LONG + _ALL_SENT),
    _timeout("hang", in_body(hang), ANSWER, says=f"{_STALLED}; 9 bytes of the answer had come"),
    _no_answer("FIN", fin, *WHOLE, says=_CLOSED),
    _timeout("FIN, and nothing is read", acts.deaf_fin, *EARLY, says=_STALLED + _SENT),
    _no_answer("FIN", in_headers(fin), HEADERS, says=_CLOSED),
    _no_answer("FIN", in_body(fin), ANSWER, says=_CUT_SHORT),
    _no_answer("RST", rst, *WHOLE, says=_RESET),
    _no_answer("RST", in_headers(rst), HEADERS, says=_RESET),
    _no_answer("RST", in_body(rst), ANSWER, says=_CUT_SHORT),
    _timeout("trickle", acts.trickling_reads, *EARLY, says=_TOO_LONG + _SENT),
    _timeout("trickle", acts.trickle, AFTER, says=_TOO_LONG + _ALL_SENT),
    _timeout("trickle", in_headers(acts.trickle), HEADERS, says=_TOO_LONG + _ALL_SENT),
    _timeout("trickle", in_body(acts.trickle), ANSWER, says=f"{_TOO_LONG}; 12 bytes of the answer had come"),
    _no_answer("garbage", sends(_SSH), *WHOLE, says=_NOT_HTTP),
    _no_answer("garbage", in_headers(sends(b"\0\x01\xff\r\n\r\n")), HEADERS, says=_NOT_HTTP),
    _broken("garbage", answers("200 OK", b"\0\x01\xff"), ANSWER, says=f"HTTP 200, but {_NOT_JSON}"),
    _no_answer("100, then FIN", then(sends(b"HTTP/1.1 100 Continue\r\n\r\n"), fin), *WHOLE, says=_CLOSED),
    _no_answer("status that is no number", sends(b"HTTP/1.1 OK\r\n\r\n"), HEADERS, says=_NOT_HTTP),
    _no_answer(
        "oversized header", in_headers(sends(b": " + b"x" * 99_999 + b"\r\n\r\n")), HEADERS, says=_NOT_HTTP
    ),
    _no_answer(
        "Content-Length that is no number",
        answers("200 OK", GOOD, "Content-Length: 1x\r\n"),
        HEADERS,
        says=_NOT_HTTP,
    ),
    _no_answer(
        "two Content-Lengths", answers("200 OK", GOOD, "Content-Length: 7\r\n"), HEADERS, says=_NOT_HTTP
    ),
    _no_answer(
        "Content-Length too large",
        then(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + GOOD), fin),
        ANSWER,
        says=_CUT_SHORT,
    ),
    _no_answer("Content-Length too small", sends(_TOO_SMALL + GOOD), ANSWER, says=_NOT_HTTP),
    _broken(
        "Content-Length too small, the rest later",
        then(sends(_TOO_SMALL + GOOD[:9]), acts.pause, sends(GOOD[9:])),
        ANSWER,
        says=f'HTTP 200, but {_NOT_JSON}: {{"uri":"s',
    ),
    _no_answer("bad chunk", chunked(chunk(GOOD[:9]), b"xyz\r\n"), ANSWER, says=_NOT_HTTP),
    _timeout(
        "bad chunk, later",
        then(chunked(chunk(GOOD[:9])), acts.pause, sends(b"xyz\r\n")),
        ANSWER,
        says=f"{_STALLED}; 9 bytes of the answer had come",
    ),
    _no_answer("chunks without an end", then(chunked(chunk(GOOD)), fin), ANSWER, says=_CUT_SHORT),
    # An answer that says no
    _answered("400 Bad Request", Kind.NO, BadRequestError, "HTTP 400: {}"),
    _answered("408 Request Timeout", Kind.NOT_READ, APIStatusError, "HTTP 408: {}"),
    _answered("413 Payload Too Large", Kind.NO, PayloadTooLargeError, f"HTTP 413: {_WEB_PAGE}", body=HTML),
    _answered("429 Too Many Requests", Kind.SLOW_DOWN, RateLimitError, f"HTTP 429: {_WEB_PAGE}", body=HTML),
    _answered(
        "429 Too Many Requests",
        Kind.NO,
        QuotaExhaustedError,
        "HTTP 429: Request was rejected due to rate limiting. Details: RPD limit reached… daily quota",
        body=_DAILY,
        name="429 of the day, then FIN",
    ),
    _answered("500 Internal Server Error", Kind.FAILED, ServerError, "HTTP 500: {}"),
    _answered("502 Bad Gateway", Kind.FAILED, ServerError, f"HTTP 502: {_WEB_PAGE}", body=HTML),
    _answered(
        _503,
        Kind.SLOW_DOWN,
        OverloadedError,
        "HTTP 503 (code 50505): Model service overloaded",
        body=_BUSY,
    ),
    Fault(
        "503, then RST",
        WHOLE,
        Kind.SLOW_DOWN,
        OverloadedError,
        "HTTP 503 (code 50505): Model service overloaded",
        then(answers(_503, _BUSY), rst),
    ),
    _answered("504 Gateway Timeout", Kind.FAILED, GatewayTimeoutError, f"HTTP 504: {_WEB_PAGE}", body=HTML),
    _redirected("302 Found", says="HTTP 302: Found, to http://127.0.0.1:… redirects are never followed"),
    _redirected(
        "307 Temporary Redirect",
        says="HTTP 307: Temporary Redirect, to http://127.0.0.1:… redirects are never followed",
    ),
    # A no of which not all can be heard: its status is enough
    _refusal(
        "503 cut short by FIN", in_body(fin, _503), Kind.SLOW_DOWN, OverloadedError, 'HTTP 503: {"uri":"s'
    ),
    _refusal(
        "503 cut short by RST", in_body(rst, _503), Kind.SLOW_DOWN, OverloadedError, 'HTTP 503: {"uri":"s'
    ),
    _timeout(
        "503, and later a bad chunk",
        then(chunked(status=_503), acts.pause, sends(b"z\r\n")),
        ANSWER,
        says=_TOO_LONG,
    ),
    _no_answer("503 and a bad chunk at once", chunked(b"z\r\n", status=_503), ANSWER, says=_NOT_HTTP),
    _refusal("500 cut short by FIN", in_body(fin, "500 Oh"), Kind.FAILED, ServerError, 'HTTP 500: {"uri":"s'),
    _refusal("400 cut short by FIN", in_body(fin, "400 No"), Kind.NO, BadRequestError, 'HTTP 400: {"uri":"s'),
    _timeout(
        "503 that hangs", in_body(hang, _503), ANSWER, says=f"{_STALLED}; 9 bytes of the answer had come"
    ),
    # A yes without a voice
    _broken(
        "gzip bomb", acts.gzip_bomb, ANSWER, says="HTTP 200, but the answer has more than 1,048,576 bytes"
    ),
    _broken(
        "gzip garbage",
        answers("200 OK", b"\0\1\2", "Content-Encoding: gzip\r\n"),
        ANSWER,
        says=f"HTTP 200, but {_NOT_JSON}",
    ),
    _broken("endless", acts.endless, ANSWER, says=_TOO_MUCH),
    _broken(
        "HTML with 200",
        answers("200 OK", HTML),
        BODY,
        ANSWER,
        says=f"HTTP 200, but {_NOT_JSON}: <html><head><title>It works",
    ),
    _broken(
        "JSON of the wrong shape",
        answers("200 OK", _NO_SHAPE),
        BODY,
        ANSWER,
        says=_NO_URI + '{"data":{"id":7}}',
    ),
    _broken("null", answers("200 OK", b"null"), ANSWER, says=f"{_NO_URI}null"),
    _broken("empty 200", answers("200 OK"), BODY, ANSWER, says=f"HTTP 200, but {_NOT_JSON}: nothing"),
    _broken(
        "204",
        sends(b"HTTP/1.1 204 No Content\r\n\r\n"),
        BODY,
        ANSWER,
        says=f"HTTP 204, but {_NOT_JSON}: nothing",
    ),
    _refusal(
        "200 that says busy",
        then(answers("200 OK", _BUSY), fin),
        Kind.SLOW_DOWN,
        OverloadedError,
        "HTTP 200 (code 50505): Model service overloaded",
    ),
    # No fault at all
    _harmless("100 first", b"HTTP/1.1 100 Continue\r\n"),
    _harmless("103 first", b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n"),
)

CASES = [
    Case(fault, moment, encoding, source)
    for moment in Moment
    for fault in FAULTS
    if moment in fault.moments
    for encoding in ENCODINGS
    for source in SOURCES
]
