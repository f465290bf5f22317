from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.emulator import Fault
from siliconflow_voice.emulator.faults import FaultPlan, ReturnStatus
from siliconflow_voice.emulator.records import Endpoint


def plan(*faults: Fault) -> FaultPlan:
    made = FaultPlan(random.Random(0))  # noqa: S311 - chance, no secret
    made.extend(faults)
    return made


def answer_of(fault: Fault) -> Any:
    assert isinstance(fault.action, ReturnStatus)
    return fault.action.answer


def test_a_fault_is_met_as_often_as_ordered_and_then_no_more() -> None:
    fault = Fault.return_status(503, times=2)
    faults = plan(fault)
    assert [faults.pick("upload") for _ in range(4)] == [fault, fault, None, None]


def test_faults_are_met_in_the_order_in_which_they_were_ordered() -> None:
    first, second = Fault.return_status(503), Fault.drop_answer()
    faults = plan(first, second)
    assert [faults.pick("upload"), faults.pick("upload")] == [first, second]


def test_two_equal_faults_are_two() -> None:
    faults = plan(Fault.drop_answer(), Fault.drop_answer())
    picked = [faults.pick("upload") for _ in range(3)]
    assert picked == [Fault.drop_answer(), Fault.drop_answer(), None]


def test_a_fault_without_end_is_always_met() -> None:
    fault = Fault.drop_answer(times=None)
    faults = plan(fault)
    assert all(faults.pick("upload") is fault for _ in range(100))


def test_a_fault_meets_only_its_own_endpoint() -> None:
    faults = plan(Fault.drop_answer(endpoint="list"))
    assert [faults.pick(endpoint) for endpoint in ("upload", "delete", "unknown")] == [None] * 3


def test_a_fault_for_any_endpoint_meets_all_that_there_are() -> None:
    faults = plan(Fault.drop_answer(times=None, endpoint="any"))
    endpoints: tuple[Endpoint, ...] = (
        "upload",
        "list",
        "delete",
        "speech",
        "transcribe",
        "models",
        "unknown",
    )
    met = [endpoint for endpoint in endpoints if faults.pick(endpoint)]
    assert met == list(endpoints[:-1])


def test_a_shared_fault_is_met_by_about_its_share_of_the_requests() -> None:
    faults = plan(Fault.drop_answer(times=None, share=0.3))
    met = sum(faults.pick("upload") is not None for _ in range(10_000))
    assert 0.27 < met / 10_000 < 0.33


def test_a_request_that_chance_spares_may_meet_the_next_fault() -> None:
    rare, certain = Fault.drop_answer(times=None, share=1e-9), Fault.delay(1.0)
    assert plan(rare, certain).pick("upload") is certain


@given(st.lists(st.integers(1, 5), max_size=5), st.integers(0, 30))
def test_faults_are_unmet_until_they_were_met_to_the_full(times: list[int], requests: int) -> None:
    faults = plan(*(Fault.return_status(503, times=count) for count in times))
    for _ in range(requests):
        faults.pick("upload")
    fully_met = sum(sum(times[: index + 1]) <= requests for index in range(len(times)))
    assert [fault.times for fault in faults.unmet] == times[fully_met:]


@pytest.mark.parametrize("fault", [Fault.drop_answer(times=None), Fault.drop_answer(times=9, share=0.999)])
def test_a_fault_without_end_or_left_to_chance_is_unmet_only_if_it_was_never_met(fault: Fault) -> None:
    faults = plan(fault)
    before = faults.unmet
    faults.pick("upload")
    assert (before, faults.unmet) == ((fault,), ())


def test_a_fault_reads_as_the_call_that_made_it() -> None:
    faults = [
        Fault.return_status(503),
        Fault.delay(2.0),
        Fault.stall_after(10),
        Fault.reset_after(20),
        Fault.drop_answer(),
        Fault.truncate_answer(),
        Fault.trickle_answer(0.5, endpoint="any"),
        Fault.close_idle(endpoint="list"),
    ]
    assert list(map(str, faults)) == [
        "return_status(503) on upload",
        "delay(2.0) on upload",
        "stall_after(10) on upload",
        "reset_after(20) on upload",
        "drop_answer() on upload",
        "truncate_answer(8) on upload",
        "trickle_answer(0.5) on any",
        "close_idle(0.0) on list",
    ]


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (lambda: Fault.drop_answer(times=0), "times must be at least 1"),
        (lambda: Fault.drop_answer(share=0.0), "share must be above 0"),
        (lambda: Fault.drop_answer(share=1.1), "share must be above 0 and at most 1"),
        (lambda: Fault.drop_answer(endpoint="speak"), "endpoint must be one of"),  # type: ignore[arg-type] # on purpose
        (lambda: Fault.return_status(99), "status must be from 200 to 599"),
        (lambda: Fault.delay(-1.0), "seconds must not be negative"),
        (lambda: Fault.stall_after(-1), "bytes_ must not be negative"),
        (lambda: Fault.reset_after(-1), "bytes_ must not be negative"),
        (lambda: Fault.truncate_answer(-1), "keep_bytes must not be negative"),
        (lambda: Fault.trickle_answer(-1), "seconds_per_byte must not be negative"),
        (lambda: Fault.close_idle(-1), "seconds must not be negative"),
    ],
)
def test_an_impossible_fault_is_refused_with_its_reason(order: Callable[[], Fault], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        order()


LIMITED = (
    "Request was rejected due to rate limiting. If you want more, please contact "
    "contact@siliconflow.cn. Details:TPM limit reached."
)
OVERLOADED = "Model service overloaded. Please try again later."


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (Fault.return_status(401), "Invalid token"),
        (Fault.return_status(403), "Forbidden"),
        (Fault.return_status(403, message="No."), "No."),
        (
            Fault.return_status(403, code=20051, message="Real name needed."),
            {"code": 20051, "message": "Real name needed.", "data": None},
        ),
        (Fault.return_status(403, code=20051), {"code": 20051, "message": "Forbidden", "data": None}),
        (Fault.return_status(404), "404 page not found"),
        (Fault.return_status(429), {"message": LIMITED, "data": None}),
        (Fault.return_status(429, message="Slower."), {"message": "Slower.", "data": None}),
        (Fault.return_status(429, code=50608), {"code": 50608, "message": LIMITED, "data": None}),
        (Fault.return_status(503), {"code": 50505, "message": OVERLOADED, "data": None}),
        (Fault.return_status(503, code=50603), {"code": 50603, "message": OVERLOADED, "data": None}),
        (Fault.return_status(504), "504 Gateway Timeout"),
        (Fault.return_status(502, code=1, message="?"), {"code": 1, "message": "?", "data": None}),
        (Fault.return_status(529), {"code": None, "message": "Status 529", "data": None}),
    ],
)
def test_a_status_comes_with_the_vendors_body(fault: Fault, body: Any) -> None:
    assert json.loads(answer_of(fault).body) == body


def test_an_inner_error_has_its_code() -> None:
    assert answer_of(Fault.return_status(500)).code == 50507


def test_a_bad_gateway_answers_with_a_page_of_its_own() -> None:
    answer = answer_of(Fault.return_status(502))
    assert (answer.content_type, answer.body[:6]) == ("text/html", b"<html>")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_that_has_no_body_gets_none(status: int) -> None:
    assert answer_of(Fault.return_status(status)).body == b""


@pytest.mark.parametrize("body", ["<p>busy</p>", b"<p>busy</p>"])
def test_a_body_of_ones_own_is_sent_as_it_is(body: Any) -> None:
    answer = answer_of(Fault.return_status(200, body=body, content_type="text/html"))
    assert (answer.body, answer.content_type) == (b"<p>busy</p>", "text/html")
