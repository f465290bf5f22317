"""Limits that are told otherwise than by a 429, and codes that gateways wrap."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from siliconflow_voice import errors
from siliconflow_voice.api.answers import Answer, Redactor
from siliconflow_voice.api.responses import parse_nothing, parse_uri
from siliconflow_voice.errors import SiliconFlowError

UNVERIFIED = "RPM limit exceeded. Please complete identity verification to lift the restriction."


def error_of(status: int, document: Any) -> SiliconFlowError:
    error = parse_uri(Answer(status, {}, json.dumps(document).encode()))
    assert isinstance(error, SiliconFlowError)
    return error


@pytest.mark.parametrize(
    ("status", "document", "class_", "kind"),
    [
        (403, UNVERIFIED, errors.RateLimitError, "rpm"),
        (403, {"message": UNVERIFIED}, errors.RateLimitError, "rpm"),
        (403, {"code": 30004, "message": "TPM limit reached"}, errors.RateLimitError, "tpm"),
        (403, "You exceeded your RPH quota", errors.RateLimitError, "rph"),
        (403, "limit of 10 RPM", errors.RateLimitError, "rpm"),
        (403, "rpm limit exceeded", errors.RateLimitError, "rpm"),
        (403, "Rate limit exceeded, please slow down", errors.RateLimitError, None),
        (403, "Too many requests", errors.RateLimitError, None),
        (
            400,
            {"error": {"message": "rejected: TPM limit reached."}},
            errors.RateLimitError,
            "tpm",
        ),
        (403, "RPD limit exceeded.", errors.QuotaExhaustedError, "rpd"),
        (403, {"message": "IPD limit reached"}, errors.QuotaExhaustedError, "ipd"),
        (403, "Rate limit: 50 requests per day", errors.QuotaExhaustedError, "rpd"),
        (403, "Forbidden", errors.PermissionDeniedError, None),
        (403, "Your RPM is fine", errors.PermissionDeniedError, None),
        (
            403,
            {"code": 30001, "message": "TPM limit: balance"},
            errors.InsufficientBalanceError,
            None,
        ),
        (401, "RPM limit exceeded", errors.AuthenticationError, None),
        (404, "RPM limit exceeded", errors.NotFoundError, None),
    ],
)
def test_a_limit_is_a_limit_whatever_its_status(
    status: int, document: Any, class_: type[SiliconFlowError], kind: str | None
) -> None:
    error = error_of(status, document)
    assert (type(error), getattr(error, "kind", None)) == (class_, kind)


@pytest.mark.parametrize(
    ("status", "document", "class_", "code"),
    [
        (403, {"error": {"code": 30001, "message": "no"}}, errors.InsufficientBalanceError, 30001),
        (429, {"error": {"code": 50606, "message": "no", "type": "x"}}, errors.QuotaExhaustedError, 50606),
        (429, {"error": {"code": "50602", "message": "no"}}, errors.RateLimitError, 50602),
        (503, {"error": {"code": 50505, "message": "no"}}, errors.OverloadedError, 50505),
        (429, {"error": {"code": "rate_limit_exceeded", "message": "no"}}, errors.RateLimitError, None),
        (400, {"error": {"code": [20012], "message": "no"}}, errors.BadRequestError, None),
        (400, {"error": "no"}, errors.BadRequestError, None),
        (400, {"error": {"error": {"message": "no"}}}, errors.BadRequestError, None),
    ],
)
def test_a_code_within_an_error_object_is_found(
    status: int, document: Any, class_: type[errors.APIStatusError], code: int | None
) -> None:
    error = error_of(status, document)
    assert isinstance(error, errors.APIStatusError)
    assert (type(error), error.code, error.message) == (class_, code, "no")


@pytest.mark.parametrize(
    ("code", "class_"),
    [
        (20048, errors.BadRequestError),
        (20045, errors.PayloadTooLargeError),
        (20051, errors.RealNameRequiredError),
        (30001, errors.InsufficientBalanceError),
        (30014, errors.AuthenticationError),
        (50602, errors.RateLimitError),
        (50608, errors.QuotaExhaustedError),
        (50507, errors.ServerError),
        (50504, errors.GatewayTimeoutError),
        (20021, errors.APIStatusError),
    ],
)
def test_a_200_with_the_code_of_a_refusal_is_that_refusal(
    code: int, class_: type[errors.APIStatusError]
) -> None:
    error = error_of(200, {"code": code, "message": "no", "data": None})
    assert isinstance(error, errors.APIStatusError)
    assert (type(error), error.status, error.code) == (class_, 200, code)


@pytest.mark.parametrize("document", [{"code": 20000, "uri": "speech:x"}, {"code": None, "uri": "speech:x"}])
def test_a_200_with_any_other_code_is_a_success(document: Any) -> None:
    assert parse_uri(Answer(200, {}, json.dumps(document).encode())) == "speech:x"


KEY = 'sk-te"s\\t/+'
ESCAPED = {
    "as it is": KEY,
    "in JSON": json.dumps(KEY)[1:-1],
    "in JSON, all of it": "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    "in JSON, in capitals": "".join(f"\\u{ord(letter):04X}" for letter in KEY),
    "in JSON within JSON": json.dumps(json.dumps(KEY)),
    "with slashes escaped": KEY.replace("\\", "\\\\").replace("/", "\\/").replace('"', '\\"'),
    "in a URL": "".join(f"%{ord(letter):02X}" for letter in KEY),
    "in HTML": "".join(f"&#{ord(letter)};" for letter in KEY),
    "in HTML, in hexadecimal": "".join(f"&#x{ord(letter):x};" for letter in KEY),
    "in UTF-16": KEY.encode("utf-16-le").decode(),
}


@pytest.mark.parametrize("form", ESCAPED)
@pytest.mark.parametrize("frame", ["%s", '{"message": "%s"}', '"%s"', "<title>%s</title>"])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_that_is_echoed_is_nowhere_in_the_error(form: str, frame: str, status: int) -> None:
    body = (frame % f"key {ESCAPED[form]} is wrong").encode()
    headers = {"location": ESCAPED[form], "x-siliconcloud-trace-id": KEY}
    error = parse_uri(Answer(status, headers, body, redact=Redactor(KEY)))
    assert isinstance(error, SiliconFlowError)
    kept = str(vars(error)) + str(error) + repr(error)
    for piece in ("sk-te", "73006b", "s\\x00k", *ESCAPED.values()):
        assert piece not in kept
    assert KEY not in json.dumps(vars(error), default=str)


def test_what_holds_raw_text_does_not_show_it() -> None:
    answer = Answer(200, {"x": KEY}, KEY.encode(), redact=Redactor(KEY))
    assert "sk-te" not in repr(answer) + repr(answer.redact)


def test_what_is_only_an_acknowledgement_is_not_read() -> None:
    assert parse_nothing(Answer(200, {}, b'{"code": 50505}')) is None


@pytest.mark.parametrize("run", ["\0", "\\", "s", "s\0", "\\s", "&#0", "s\\"], ids=repr)
def test_a_key_is_looked_for_in_time_that_grows_with_the_text_alone(run: str) -> None:
    text = run * (32_768 // len(run))
    began = time.process_time()
    assert Redactor(KEY)(text) == text
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("filling", ["\0", "\\", "&#0", "&#x0", "%", "s", "sk-te", "\\u00"])
def test_a_body_that_is_almost_the_key_is_searched_in_one_pass(filling: str) -> None:
    body = (filling * (1 << 20))[: 1 << 20].encode()
    error = parse_uri(Answer(500, {}, body, redact=Redactor(KEY)))
    assert isinstance(error, errors.ServerError)
    assert len(error.body) == 4096
