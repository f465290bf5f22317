from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siliconflow_voice import errors
from siliconflow_voice.api.answers import Answer, Redactor
from siliconflow_voice.api.responses import parse_nothing, parse_uri
from siliconflow_voice.api.responses import parse_voices as parse_listed
from siliconflow_voice.api.voicelist import VoiceList
from siliconflow_voice.errors import APIStatusError, InvalidResponseError, RateLimitError, SiliconFlowError
from siliconflow_voice.models import Voice


def parse_voices(given: Answer) -> list[Voice] | SiliconFlowError:
    """Read a list that was not long enough to be read as it came."""
    voices = VoiceList(lambda _voice: True)
    return parse_listed(given, voices) or voices.voices


PARSERS: list[Callable[[Answer], Any]] = [parse_uri, parse_voices, parse_nothing]
TPM_LIMITED = (
    "Request was rejected due to rate limiting. If you want more, please contact contact@siliconflow.cn. "
    "Details:TPM limit reached."
)
OVERLOADED = "Model service overloaded. Please try again later."
ENTRY = {"model": "m", "customName": "narrator", "text": "慢工出细活", "uri": "speech:narrator:a:b"}
VOICE = Voice("speech:narrator:a:b", "m", "narrator", "慢工出细活")


def answer(status: int, document: Any, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, names, document if isinstance(document, bytes) else json.dumps(document).encode())


def read(parse: Callable[[Answer], Any], given: Answer) -> Any:
    """Raise an error that an answer is, to be looked at with pytest."""
    value = parse(given)
    if isinstance(value, SiliconFlowError):
        raise value
    return value


def error_of(given: Answer) -> APIStatusError:
    error = parse_nothing(given)
    assert isinstance(error, APIStatusError)
    return error


def test_an_upload_is_answered_with_a_uri() -> None:
    uri = "speech:your-voice-name:xxx:xxx"
    assert read(parse_uri, answer(200, {"uri": uri, "more": 1})) == uri


@pytest.mark.parametrize(
    ("status", "document", "kind", "code", "message"),
    [
        (400, {"code": 20012, "message": "no model", "data": "x"}, "BadRequestError", 20012, "no model"),
        (400, {"code": None, "message": "no", "data": None}, "BadRequestError", None, "no"),
        (401, "Invalid token", "AuthenticationError", None, "Invalid token"),
        (401, "Api key is invalid", "AuthenticationError", None, "Api key is invalid"),
        (
            401,
            {"code": 30014, "message": "Token is invalid.", "data": None},
            "AuthenticationError",
            30014,
            "Token is invalid.",
        ),
        (403, "Forbidden", "PermissionDeniedError", None, "Forbidden"),
        (403, {"code": 30003, "message": "offline"}, "PermissionDeniedError", 30003, "offline"),
        (404, "404 page not found", "NotFoundError", None, "404 page not found"),
        (404, b"404 page not found\n", "NotFoundError", None, "404 page not found"),
        (429, {"message": TPM_LIMITED, "data": "x"}, "RateLimitError", None, TPM_LIMITED),
        (503, {"code": 50505, "message": OVERLOADED, "data": "x"}, "OverloadedError", 50505, OVERLOADED),
        (504, "504 Gateway Timeout", "GatewayTimeoutError", None, "504 Gateway Timeout"),
        (504, b"", "GatewayTimeoutError", None, "Gateway Timeout"),
        (
            502,
            b"<html><TITLE >\n502 Bad Gateway</title>",
            "ServerError",
            None,
            "a web page, '502 Bad Gateway'",
        ),
    ],
)
def test_a_documented_refusal_has_an_error_of_its_own(
    status: int, document: Any, kind: str, code: int | None, message: str
) -> None:
    error = error_of(answer(status, document))
    assert (kind, status, code, message) == (type(error).__name__, error.status, error.code, error.message)


@pytest.mark.parametrize("parse", PARSERS)
def test_every_endpoint_returns_what_a_refusal_says(parse: Callable[[Answer], Any]) -> None:
    headers = {"x_siliconcloud_trace_id": "ti_1", "retry_after": "7"}
    with pytest.raises(RateLimitError, match=f"^HTTP 429 .trace id ti_1.: {TPM_LIMITED}$") as caught:
        read(parse, answer(429, {"message": TPM_LIMITED}, **headers))
    error = caught.value
    assert (error.kind, error.code, error.trace_id, error.retry_after) == ("tpm", None, "ti_1", 7.0)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 20015, "BadRequestError"),
        (402, None, "InsufficientBalanceError"),
        (402, 30001, "InsufficientBalanceError"),
        (403, 30001, "InsufficientBalanceError"),
        (403, 30011, "InsufficientBalanceError"),
        (403, 20051, "RealNameRequiredError"),
        (403, 30005, "RealNameRequiredError"),
        (403, 30012, "PermissionDeniedError"),
        (403, 30014, "AuthenticationError"),
        (408, None, "APIStatusError"),
        (413, 20045, "PayloadTooLargeError"),
        (418, None, "APIStatusError"),
        (429, 50609, "RateLimitError"),
        (451, 20021, "APIStatusError"),
        (500, 50507, "ServerError"),
        (500, 30014, "ServerError"),
        (503, 50508, "OverloadedError"),
        (503, 50603, "OverloadedError"),
        (503, 50602, "OverloadedError"),
        (504, 50501, "GatewayTimeoutError"),
        (600, None, "ServerError"),
        (999, None, "ServerError"),
        (100, None, "APIStatusError"),
        (304, None, "UnexpectedRedirectError"),
    ],
)
def test_a_status_and_a_code_stand_for_a_class(status: int, code: int | None, kind: str) -> None:
    error = error_of(answer(status, {"code": code, "message": "no"}))
    assert (kind, status, code) == (type(error).__name__, error.status, error.code)


@pytest.mark.parametrize(
    ("code", "named", "kind", "class_"),
    [
        (50601, "", "rpm", "RateLimitError"),
        (50602, "", "tpm", "RateLimitError"),
        (50604, "", "ipm", "RateLimitError"),
        (50605, "", "ipd", "QuotaExhaustedError"),
        (50606, "", "rpd", "QuotaExhaustedError"),
        (50607, "", "rph", "RateLimitError"),
        (50608, "", "rpd", "QuotaExhaustedError"),
        (50602, "RPD limit reached.", "tpm", "RateLimitError"),
        (None, "Details:RPM limit reached.", "rpm", "RateLimitError"),
        (None, "Details:RPD limit reached.", "rpd", "QuotaExhaustedError"),
        (None, "Details:TPD limit reached.", "tpd", "QuotaExhaustedError"),
        (None, "Details:IPD limit reached.", "ipd", "QuotaExhaustedError"),
        (None, "Details:TPH limit reached.", "tph", "RateLimitError"),
        (50609, "too busy", None, "RateLimitError"),
        (None, "GRPDX", None, "RateLimitError"),
    ],
)
def test_a_429_says_which_limit_was_met(code: int | None, named: str, kind: str | None, class_: str) -> None:
    error = error_of(answer(429, {"code": code, "message": named}))
    assert isinstance(error, RateLimitError)
    assert (kind, class_) == (error.kind, type(error).__name__)


def test_a_limits_code_counts_whatever_the_status_but_503() -> None:
    kinds = [type(error_of(answer(status, {"code": 50608}))) for status in (403, 500, 503)]
    assert [errors.QuotaExhaustedError, errors.QuotaExhaustedError, errors.OverloadedError] == kinds


@pytest.mark.parametrize("code", [50505, 50508, 50603, 50609, "50609"])
@pytest.mark.parametrize("parse", [parse_uri, parse_voices])
def test_a_200_that_says_busy_is_an_overload(parse: Callable[[Answer], Any], code: int | str) -> None:
    with pytest.raises(errors.OverloadedError) as caught:
        read(parse, answer(200, {"code": code, "message": "too busy"}))
    assert (200, int(code), "too busy") == (caught.value.status, caught.value.code, caught.value.message)


UNFIT: list[Any] = [{"uri": uri} for uri in (None, 1, (), "", "voice:x", "Speech:x")]
NO_URI: list[Any] = [{"uri": uri} for uri in ("speech:", "speech:a b", "speech:a\n", "speech:é")]
WRONG: list[Any] = [
    b"", b" ", b"<html>", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN", None, 7, True, "speech:a:b:c", {}
]  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [*WRONG, [], ["speech:a"], *UNFIT, *NO_URI],
)
def test_an_upload_answered_in_another_shape_is_invalid(document: Any) -> None:
    with pytest.raises(InvalidResponseError):
        read(parse_uri, answer(200, document))


@pytest.mark.parametrize("key", ["results", "result", "data", None])
@pytest.mark.parametrize("entries", [0, 1, 2])
def test_a_list_of_voices_is_read_from_each_of_the_four_wrappings(key: str | None, entries: int) -> None:
    document = [ENTRY] * entries if key is None else {key: [ENTRY] * entries}
    assert [VOICE] * entries == read(parse_voices, answer(200, document))


@pytest.mark.parametrize(
    "document", [{"result": None}, {"results": None}, {"data": None}, {"data": {"result": None}}]
)
def test_null_in_place_of_the_list_is_an_empty_one(document: Any) -> None:
    assert read(parse_voices, answer(200, document)) == []


@pytest.mark.parametrize("key", ["results", "result"])
def test_a_list_of_voices_is_read_from_within_data(key: str) -> None:
    assert read(parse_voices, answer(200, {"code": 20000, "data": {key: [ENTRY]}})) == [VOICE]


@pytest.mark.parametrize(
    "document",
    [
        *WRONG,
        {"data": {"data": {"result": []}}},
        {"voices": []},
        {"results": {}},
        [7],
        [None],
    ]
    + [[{**ENTRY, key: 7}] for key in ENTRY]
    + [[{"customName": "no uri"}], [[ENTRY]], ["speech:a:b:c"]],
)
def test_a_list_in_another_shape_is_invalid_and_never_empty(document: Any) -> None:
    with pytest.raises(InvalidResponseError):
        read(parse_voices, answer(200, document))


def test_a_listed_voice_may_lack_all_but_its_uri() -> None:
    assert [Voice("speech:x", "", "", "")] == read(
        parse_voices, answer(200, [{"uri": "speech:x", "model": None}])
    )


@pytest.mark.parametrize("status", [200, 201, 204, 299])
@pytest.mark.parametrize("document", [b"", {}, "deleted", b"<html>", {"code": 50505}])
def test_any_2xx_is_a_yes_where_nothing_else_is_wanted(status: int, document: Any) -> None:
    assert parse_nothing(answer(status, document)) is None


def test_an_invalid_answer_says_what_was_expected_and_what_came() -> None:
    with pytest.raises(InvalidResponseError) as caught:
        read(parse_uri, answer(201, b"<p>hello\n</p>", x_siliconcloud_trace_id="ti_1"))
    error = caught.value
    assert (error.status, error.trace_id, error.body) == (201, "ti_1", "<p>hello\n</p>")
    assert str(error) == "HTTP 201, but the answer is not JSON: <p>hello </p>."


def test_an_answer_without_a_body_is_called_nothing() -> None:
    with pytest.raises(
        InvalidResponseError, match=r"^HTTP 200, but the answer is not JSON: nothing in the body\.$"
    ):
        read(parse_uri, answer(200, b" "))


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Found"),
        ({"location": "https://x.cn/\x00v1"}, "Found, to https://x.cn/\N{REPLACEMENT CHARACTER}v1"),
    ],
)
def test_a_redirect_says_where_to(headers: dict[str, str], message: str) -> None:
    error = error_of(answer(302, b"", **headers))
    assert (errors.UnexpectedRedirectError, message) == (type(error), error.message)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"error": "a"}, "a"),
        ({"msg": "a", "message": " "}, "a"),
        ({"message": {"deep": 1}, "error": "a"}, "a"),
        ({"message": 7}, '{"message": 7}'),
        ({}, "{}"),
        (["a"], '["a"]'),
        ("", '""'),
        ({"message": "a\x00\x1b[31m\r\n\tb\u2028c\u202ed"}, "a��[31m b c�d"),
        ({"message": "\ud800"}, "�"),
        (b"\xff\xfea", "��a"),
        (b"[" * 100_000, "[" * 300 + "…"),
        ("界" * 301, "界" * 300 + "…"),
        ("界" * 300, "界" * 300),
        (b"9" * 5000, "9" * 300 + "…"),
        (b"", "I'm a Teapot"),
    ],
)
def test_a_message_is_found_and_put_on_one_line(document: Any, message: str) -> None:
    assert message == error_of(answer(418, document)).message


def test_a_status_without_a_name_and_a_body_has_no_message() -> None:
    assert str(error_of(answer(799, b""))) == "HTTP 799: no message."


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("20012", "20012"),
        ('"20012"', "20012"),
        ("-1", "-1"),
        ("true", "None"),
        ("null", "None"),
        ("2.5", "None"),
    ]
    + [
        (other, "None")
        for other in ('"²"', '"-1"', '""', "[]", "1e400", "9" * 10, "9" * 4000, f'"{"9" * 4000}"')
    ],
)
def test_a_code_is_a_number_of_bearable_length(written: str, code: str) -> None:
    assert code == str(error_of(answer(400, f'{{"code": {written}}}'.encode())).code)


@pytest.mark.parametrize(
    ("trace_id", "kept"),
    [(None, None), ("", None), ("ti_1", "ti_1"), ("a\n\ud800", None), ("x" * 129, None), ("a b", None)],
)
def test_a_trace_id_is_kept_if_it_looks_like_one(trace_id: str | None, kept: str | None) -> None:
    headers = {} if trace_id is None else {"x-siliconcloud-trace-id": trace_id}
    assert kept == error_of(Answer(500, headers)).trace_id


def test_of_a_body_4096_characters_are_kept() -> None:
    assert error_of(answer(500, "界".encode() * 5000)).body == "界" * 4096


def test_an_answer_that_was_not_read_to_its_end_is_invalid() -> None:
    with pytest.raises(InvalidResponseError, match="the answer has more than 5 bytes"):
        read(parse_voices, Answer(200, {}, b"[]", overlong=True, limit=5))


@pytest.mark.parametrize("body", [b"<title>" * 100_000, b"<title " * 100_000], ids=["tags", "half tags"])
def test_a_long_page_of_titles_takes_no_time(body: bytes) -> None:
    assert error_of(answer(502, body)).message.startswith("<title")


NOON = "Tue, 01 Sep 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", "", 0.0),
        ("7", "", 7.0),
        (" 7 ", "", 7.0),
        ("0.25", "", 0.25),
        ("Tue, 01 Sep 2026 12:01:30 GMT", NOON, 90.0),
        ("Tue, 01 Sep 2026 14:01:30 +0200", NOON, 90.0),
        ("Tue, 01 Sep 2026 12:01:30 -0000", NOON, 90.0),
        ("Tue, 01 Sep 2026 11:59:00 GMT", NOON, 0.0),
    ]
    + [
        (garbage, NOON, None)
        for garbage in (
            "",
            "-1",
            "1e3",
            "inf",
            "nan",
            "0x10",
            "٧",
            "1.",
            ".5",
            "soon",
            "9" * 10,
            "Tue, 99 Sep 2026",
        )
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(
    value: str, date: str, seconds: float | None
) -> None:
    assert seconds == error_of(answer(429, b"", retry_after=value, date=date)).retry_after


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_retry_after_is_a_date_by_our_clock_if_the_server_does_not_tell_its_own(
    headers: dict[str, str],
) -> None:
    now = datetime.now(UTC)
    until = format_datetime(now.replace(year=now.year + 1, day=1, microsecond=0), usegmt=True)
    seconds = error_of(answer(503, b"", retry_after=until, **headers)).retry_after
    assert seconds is not None
    assert 330 < seconds / 86400 < 370


def test_an_answer_without_retry_after_names_no_seconds() -> None:
    assert error_of(answer(503, b"", date=NOON)).retry_after is None


json_documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([50505, 50608, 30014]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["uri", "result", "results", "data", "code", "message", "error", "text", "model"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)
plain_bodies = st.binary() | json_documents.map(lambda document: json.dumps(document).encode())
bodies = plain_bodies | plain_bodies.map(gzip.compress) | plain_bodies.map(zlib.compress)
names = ["x-siliconcloud-trace-id", "retry-after", "date", "location", "content-encoding", "content-type"]
values = st.text(st.characters()) | st.sampled_from(["gzip", "deflate", "br", NOON, "7"])


@pytest.mark.parametrize("parse", PARSERS)
@given(status=st.integers(100, 999), headers=st.dictionaries(st.sampled_from(names), values), raw=bodies)
@example(status=400, headers={}, raw=b'{"code": %s}' % (b"9" * 4000))
def test_any_answer_is_a_value_or_an_error_of_the_sdks_that_fits_on_a_line(
    parse: Callable[[Answer], Any], status: int, headers: dict[str, str], raw: bytes
) -> None:
    error: SiliconFlowError | None = None
    try:
        read(parse, Answer(status, headers, raw, limit=1000))
    except SiliconFlowError as caught:
        error = caught
    assert error is not None or 200 <= status < 300
    assert str(error).isprintable()
    assert len(str(error)) < 1000


@pytest.mark.parametrize("pad", [0, 280, 290, 4090])
def test_a_key_that_a_server_echoes_is_blotted_out_wherever_the_text_is_cut(pad: int) -> None:
    key = "sk-test" * 5
    body = ("x" * pad + f" {key} {key}").encode()
    headers = {"x-siliconcloud-trace-id": key, "location": key}
    for status in (200, 302, 400):
        with pytest.raises(SiliconFlowError) as caught:
            read(parse_uri, Answer(status, headers, body, redact=Redactor(key)))
        assert "sk-te" not in str(vars(caught.value)) + repr(caught.value)
