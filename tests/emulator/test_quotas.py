from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.emulator import Quota
from siliconflow_voice.emulator.quotas import QuotaMeter

Kind = Literal["fixed", "sliding", "bucket"]

WINDOW = 10.0

# Arrivals: seconds since the one before, and tokens.
arrivals = st.lists(
    st.tuples(
        st.floats(0, 15, allow_subnormal=False) | st.sampled_from([0.0, 1.0, WINDOW / 3, WINDOW]),
        st.integers(0, 30),
    ),
    max_size=60,
)
limits = st.integers(1, 8)
token_limits = st.integers(1, 60)


def admitted(meter: QuotaMeter, gaps: list[tuple[float, int]]) -> list[tuple[float, int]]:
    now, taken = 1000.0, []
    for gap, tokens in gaps:
        now += gap
        if meter.take(now, tokens) is None:
            taken.append((now, tokens))
    return taken


@given(arrivals, limits, token_limits, st.booleans())
def test_a_sliding_quota_admits_no_more_than_its_limits_in_any_window(
    gaps: list[tuple[float, int]], requests: int, tokens: int, count: bool
) -> None:
    quota = Quota(requests=requests, tokens=tokens, window=WINDOW, kind="sliding", count_refusals=count)
    taken = admitted(QuotaMeter(quota), gaps)
    for start, _ in taken:
        inside = [cost for at, cost in taken if at >= start and start + WINDOW > at]
        assert len(inside) <= requests
        assert sum(inside) <= tokens


@given(arrivals, limits, token_limits, st.booleans())
def test_a_fixed_quota_admits_no_more_than_its_limits_in_each_window(
    gaps: list[tuple[float, int]], requests: int, tokens: int, count: bool
) -> None:
    quota = Quota(requests=requests, tokens=tokens, window=WINDOW, count_refusals=count)
    taken = admitted(QuotaMeter(quota), gaps)
    if not gaps:
        return
    origin = 1000.0 + gaps[0][0]
    windows: dict[float, list[int]] = {}
    for at, cost in taken:
        # An arrival within rounding of an edge may be counted on either side of it.
        windows.setdefault((at - origin + 1e-6) // WINDOW, []).append(cost)
    for costs in windows.values():
        assert len(costs) <= requests + 1e-6
        assert sum(costs) <= tokens


@given(arrivals, limits, token_limits, limits, st.booleans())
def test_a_bucket_admits_no_more_than_its_burst_and_what_was_refilled(
    gaps: list[tuple[float, int]], requests: int, tokens: int, burst: int, count: bool
) -> None:
    quota = Quota(
        requests=requests, tokens=tokens, window=WINDOW, kind="bucket", burst=burst, count_refusals=count
    )
    taken = admitted(QuotaMeter(quota), gaps)
    for first, (start, _) in enumerate(taken):
        for last in range(first, len(taken)):
            span = taken[first : last + 1]
            seconds = taken[last][0] - start
            assert len(span) <= burst + seconds * requests / WINDOW + 1e-6
            assert sum(cost for _, cost in span) <= tokens + seconds * tokens / WINDOW + 1e-6


@given(arrivals, st.sampled_from(["fixed", "sliding", "bucket"]))
def test_a_quota_without_limits_admits_everything(gaps: list[tuple[float, int]], kind: Kind) -> None:
    assert len(admitted(QuotaMeter(Quota(kind=kind)), gaps)) == len(gaps)


@given(arrivals, limits, token_limits, st.sampled_from(["fixed", "sliding"]))
def test_refusals_that_do_not_count_leave_no_trace(
    gaps: list[tuple[float, int]], requests: int, tokens: int, kind: Kind
) -> None:
    quota = Quota(requests=requests, tokens=tokens, window=WINDOW, kind=kind, count_refusals=False)
    meter, without_the_refused = QuotaMeter(quota), QuotaMeter(quota)
    meter.take(1000.0, 0)  # opens the first window
    without_the_refused.take(1000.0, 0)
    assert all(without_the_refused.take(at, cost) is None for at, cost in admitted(meter, gaps))


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_the_limit_that_was_met_is_named(kind: Kind) -> None:
    meter = QuotaMeter(Quota(requests=2, tokens=10, kind=kind))
    assert [meter.take(0.0, 11), meter.take(0.0, 10), meter.take(0.0, 1)] == ["TPM", None, "RPM"]


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_the_refused_cost_no_tokens(kind: Kind) -> None:
    meter = QuotaMeter(Quota(tokens=10, kind=kind))
    assert [meter.take(0.0, 11), meter.take(0.0, 10)] == ["TPM", None]


def test_a_sliding_window_stays_closed_while_it_is_hammered() -> None:
    meter = QuotaMeter(Quota(requests=2, window=10.0, kind="sliding"))
    answers = [meter.take(float(second), 0) for second in range(30)]
    assert answers == [None, None, *["RPM"] * 28]


def test_a_sliding_window_opens_when_its_oldest_request_leaves_it() -> None:
    meter = QuotaMeter(Quota(requests=1, window=10.0, kind="sliding"))
    assert [meter.take(5.0, 0), meter.take(15.0, 0)] == [None, None]


def test_fixed_windows_follow_one_another_from_the_first_request_on() -> None:
    meter = QuotaMeter(Quota(requests=1, window=10.0))
    times = [5.0, 14.9, 15.0, 24.9, 38.0, 44.9, 45.0]
    assert [meter.take(at, 0) for at in times] == [None, "RPM", None, "RPM", None, "RPM", None]


@pytest.mark.parametrize("phase", [0.0, 4.0, 9.9])
def test_fixed_windows_begin_a_phase_before_the_first_request(phase: float) -> None:
    meter = QuotaMeter(Quota(requests=1, window=10.0, phase=phase))
    ends = 5.0 + 10.0 - phase
    times = [5.0, ends - 0.01, ends, ends + 9.99, ends + 10.0]
    assert [meter.take(at, 0) for at in times] == [None, "RPM", None, "RPM", None]


def test_a_hammered_bucket_sinks_to_minus_its_burst_and_no_further() -> None:
    meter = QuotaMeter(Quota(requests=10, window=10.0, kind="bucket", burst=2))
    for _ in range(50):
        meter.take(0.0, 0)
    # From -2, at one a second, there is a whole request in it after three.
    assert [meter.take(2.9, 0), meter.take(4.9, 0)] == ["RPM", None]


def test_refusals_that_do_not_count_draw_nothing_from_a_bucket() -> None:
    meter = QuotaMeter(Quota(requests=10, window=10.0, kind="bucket", burst=1, count_refusals=False))
    assert [meter.take(at, 0) for at in (0.0, 0.5, 0.9, 1.0)] == [None, "RPM", "RPM", None]


def test_a_client_that_keeps_pace_with_the_bucket_is_never_refused() -> None:
    meter = QuotaMeter(Quota(requests=7, window=60.0, kind="bucket", burst=1))
    assert all(meter.take(turn * 60.0 / 7, 0) is None for turn in range(1000))


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_a_lowered_limit_holds_for_what_was_counted_before(kind: Kind) -> None:
    meter = QuotaMeter(Quota(requests=10, kind=kind))
    for _ in range(5):
        meter.take(0.0, 0)
    meter.quota = Quota(requests=5, kind=kind)
    assert meter.take(0.0, 0) == "RPM"


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_a_raised_limit_leaves_room_for_the_difference(kind: Kind) -> None:
    meter = QuotaMeter(Quota(requests=2, kind=kind))
    before = [meter.take(0.0, 0) for _ in range(2)]
    meter.quota = Quota(requests=3, kind=kind)
    assert [*before, meter.take(0.0, 0), meter.take(0.0, 0)] == [None, None, None, "RPM"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"requests": 0}, "requests must be at least 1"),
        ({"tokens": -1}, "tokens must be at least 1"),
        ({"requests": 1, "kind": "bucket", "burst": 0}, "burst must be at least 1"),
        ({"window": 0.0}, "window must be a positive number"),
        ({"window": float("nan")}, "window must be a positive number"),
        ({"window": float("inf")}, "window must be a positive number"),
        ({"kind": "leaky"}, "kind must be"),
        ({"told_as": 503}, "told_as must be 429 or 403"),
        ({"phase": 60.0}, "phase must be at least 0 and less than the window"),
        ({"phase": -1.0}, "phase must be at least 0"),
        ({"phase": 1.0, "kind": "sliding"}, "phase is for a quota of kind 'fixed'"),
        ({"requests": 1, "burst": 1}, "burst is valid only for a quota of kind 'bucket'"),
        (
            {"kind": "bucket", "burst": 1},
            "burst is valid only for a quota of kind 'bucket' that limits requests",
        ),
    ],
)
def test_an_impossible_quota_is_refused_with_its_reason(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Quota(**options)
