"""Every fault, with its moments, what kind it is, and the error that it must be met with."""

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
from support.faults.stage import Act, Moment

EARLY = (ACCEPT, BODY)
WHOLE = (ACCEPT, BODY, AFTER)  # when a whole answer may come


def _no_answer(name: str, act: Act, *moments: Moment, says: str = "") -> Fault:
    return Fault(name, moments, Kind.NO_ANSWER, APIConnectionError, act, says)


def _timeout(name: str, act: Act, *moments: Moment, says: str) -> Fault:
    return Fault(name, moments, Kind.NO_ANSWER, APITimeoutError, act, says)


def _answered(
    status: str, kind: Kind, met: type[SiliconFlowError], *moments: Moment, body: bytes = b"{}"
) -> Fault:
    return Fault(f"{status[:3]}, then FIN", moments, kind, met, then(answers(status, body), fin))


def _broken(name: str, act: Act, *moments: Moment, says: str = "") -> Fault:
    return Fault(name, moments, Kind.BROKEN_PROMISE, InvalidResponseError, act, says)


def _certificate(name: str, *, says: str) -> Fault:
    return Fault(
        f"certificate {name}",
        (HANDSHAKE,),
        Kind.NO_ANSWER,
        APIConnectionError,
        hang,
        f"TLS certificate of voice.localhost is not valid: {says}",
        certificate=name,
    )


def _redirected(status: str) -> Fault:
    return Fault(f"{status[:3]} to another origin", WHOLE, Kind.NO, UnexpectedRedirectError, redirect(status))


_BUSY = b'{"code":50505,"message":"Model service overloaded."}'
_DAILY = b'{"message":"Request was rejected due to rate limiting. Details: RPD limit reached."}'
_NO_SHAPE = b'{"data":{"id":7}}'
_STALLED = "stalled: no byte moved for 5 s"
_TOO_LONG = "took longer than 12 s"
_503 = "503 Service Unavailable"
_TOO_SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
_SSH = b"SSH-2.0-OpenSSH_9.2\r\n"

FAULTS = (
    Fault("DNS failure", (CONNECT,), Kind.NO_ANSWER, APIConnectionError, hang, "resolved", acts.no_such_name),
    Fault("DNS hang", (CONNECT,), Kind.NO_ANSWER, APITimeoutError, hang, "in time", acts.silent_names),
    Fault("refused", (CONNECT,), Kind.NO_ANSWER, APIConnectionError, hang, "No connection", acts.wrong_port),
    # TLS
    _timeout("hang", in_handshake(hang), HANDSHAKE, says="in time"),
    _no_answer("FIN", in_handshake(fin), HANDSHAKE),
    _no_answer("RST", in_handshake(rst), HANDSHAKE),
    _no_answer("garbage", sends(_SSH), HANDSHAKE),
    _no_answer("plain HTTP", answers("400 Bad Request", HTML), HANDSHAKE),
    _certificate("expired", says="certificate has expired"),
    _certificate("of another host", says="Hostname mismatch"),
    _certificate("of an unknown authority", says="unable to get local issuer certificate"),
    # No answer, or not all of it
    _timeout("hang", hang, ACCEPT, BODY, says=_STALLED),
    _timeout("hang", hang, AFTER, says=_TOO_LONG),
    _timeout("hang", in_headers(hang), HEADERS, says=_TOO_LONG),
    _timeout("hang", in_body(hang), ANSWER, says=_STALLED),
    _no_answer("FIN", fin, *WHOLE),
    _timeout("FIN, and nothing is read", acts.deaf_fin, *EARLY, says=_STALLED),
    _no_answer("FIN", in_headers(fin), HEADERS),
    _no_answer("FIN", in_body(fin), ANSWER, says="cut short"),
    _no_answer("RST", rst, *WHOLE),
    _no_answer("RST", in_headers(rst), HEADERS),
    _no_answer("RST", in_body(rst), ANSWER),
    _timeout("trickle", acts.trickling_reads, ACCEPT, BODY, says=_TOO_LONG),
    _timeout("trickle", acts.trickle, AFTER, says=_TOO_LONG),
    _timeout("trickle", in_headers(acts.trickle), HEADERS, says=_TOO_LONG),
    _timeout("trickle", in_body(acts.trickle), ANSWER, says=_TOO_LONG),
    _no_answer("garbage", sends(_SSH), *WHOLE, says="not valid HTTP"),
    _no_answer("garbage", in_headers(sends(b"\0\x01\xff\r\n\r\n")), HEADERS, says="not valid HTTP"),
    _broken("garbage", answers("200 OK", b"\0\x01\xff"), ANSWER, says="not JSON"),
    _no_answer("100, then FIN", then(sends(b"HTTP/1.1 100 Continue\r\n\r\n"), fin), *WHOLE),
    _no_answer("status that is no number", sends(b"HTTP/1.1 OK\r\n\r\n"), HEADERS, says="not valid HTTP"),
    _no_answer(
        "oversized header", in_headers(sends(b": " + b"x" * 99_999 + b"\r\n\r\n")), HEADERS, says="not valid"
    ),
    _no_answer(
        "Content-Length that is no number", answers("200 OK", GOOD, "Content-Length: 1x\r\n"), HEADERS
    ),
    _no_answer("two Content-Lengths", answers("200 OK", GOOD, "Content-Length: 7\r\n"), HEADERS),
    _no_answer(
        "Content-Length too large",
        then(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + GOOD), fin),
        ANSWER,
        says="cut short",
    ),
    _no_answer("Content-Length too small", sends(_TOO_SMALL + GOOD), ANSWER, says="not valid HTTP"),
    _broken(
        "Content-Length too small, the rest later",
        then(sends(_TOO_SMALL + GOOD[:9]), acts.pause, sends(GOOD[9:])),
        ANSWER,
        says="not JSON",
    ),
    _no_answer("bad chunk", chunked(chunk(GOOD[:9]), b"xyz\r\n"), ANSWER),
    _timeout(
        "bad chunk, later",
        then(chunked(chunk(GOOD[:9])), acts.pause, sends(b"xyz\r\n")),
        ANSWER,
        says=_STALLED,
    ),
    _no_answer("chunks without an end", then(chunked(chunk(GOOD)), fin), ANSWER, says="cut short"),
    # An answer that says no
    _answered("400 Bad Request", Kind.NO, BadRequestError, *WHOLE),
    _answered("408 Request Timeout", Kind.NOT_READ, APIStatusError, *WHOLE),
    _answered("413 Payload Too Large", Kind.NO, PayloadTooLargeError, *WHOLE, body=HTML),
    _answered("429 Too Many Requests", Kind.SLOW_DOWN, RateLimitError, *WHOLE, body=HTML),
    Fault(
        "429 of the day, then FIN",
        WHOLE,
        Kind.NO,
        QuotaExhaustedError,
        then(answers("429 Too Many Requests", _DAILY), fin),
    ),
    _answered("500 Internal Server Error", Kind.FAILED, ServerError, *WHOLE),
    _answered("502 Bad Gateway", Kind.FAILED, ServerError, *WHOLE, body=HTML),
    _answered(_503, Kind.SLOW_DOWN, OverloadedError, *WHOLE, body=_BUSY),
    Fault("503, then RST", WHOLE, Kind.SLOW_DOWN, OverloadedError, then(answers(_503, _BUSY), rst)),
    _answered("504 Gateway Timeout", Kind.FAILED, GatewayTimeoutError, *WHOLE, body=HTML),
    _redirected("302 Found"),
    _redirected("307 Temporary Redirect"),
    # A no of which not all can be heard: its status is enough
    Fault("503 cut short by FIN", (ANSWER,), Kind.SLOW_DOWN, OverloadedError, in_body(fin, _503)),
    Fault("503 cut short by RST", (ANSWER,), Kind.SLOW_DOWN, OverloadedError, in_body(rst, _503)),
    _timeout(
        "503, and later a bad chunk",
        then(chunked(status=_503), acts.pause, sends(b"z\r\n")),
        ANSWER,
        says=_TOO_LONG,
    ),
    _no_answer("503 and a bad chunk at once", chunked(b"z\r\n", status=_503), ANSWER, says="not valid HTTP"),
    Fault("500 cut short by FIN", (ANSWER,), Kind.FAILED, ServerError, in_body(fin, "500 Oh")),
    Fault("400 cut short by FIN", (ANSWER,), Kind.NO, BadRequestError, in_body(fin, "400 No")),
    _timeout("503 that hangs", in_body(hang, _503), ANSWER, says=_STALLED),
    # A yes without a voice
    _broken("gzip bomb", acts.gzip_bomb, ANSWER, says="more than 1,048,576 bytes"),
    _broken("gzip garbage", answers("200 OK", b"\0\1\2", "Content-Encoding: gzip\r\n"), ANSWER),
    _broken("endless", acts.endless, ANSWER, says="more than 1,048,576 bytes"),
    _broken("HTML with 200", answers("200 OK", HTML), BODY, ANSWER, says="not JSON"),
    _broken(
        "JSON of the wrong shape", answers("200 OK", _NO_SHAPE), BODY, ANSWER, says="without a speech: uri"
    ),
    _broken("null", answers("200 OK", b"null"), ANSWER, says="without a speech: uri"),
    _broken("empty 200", answers("200 OK"), BODY, ANSWER, says="not JSON"),
    _broken("204", sends(b"HTTP/1.1 204 No Content\r\n\r\n"), BODY, ANSWER, says="not JSON"),
    Fault(
        "200 that says busy", (ANSWER,), Kind.SLOW_DOWN, OverloadedError, then(answers("200 OK", _BUSY), fin)
    ),
    # No fault at all
    Fault("100 first", WHOLE, Kind.HARMLESS, None, then(sends(b"HTTP/1.1 100 Continue\r\n\r\n"), acts.go_on)),
    Fault(
        "103 first",
        WHOLE,
        Kind.HARMLESS,
        None,
        then(sends(b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"), acts.go_on),
    ),
)

CASES = [
    Case(fault, moment, encoding, source)
    for moment in Moment
    for fault in FAULTS
    if moment in fault.moments
    for encoding in ENCODINGS
    for source in SOURCES
]
