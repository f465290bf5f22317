from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.calls.deadline import Deadline

seconds = st.floats(0, 1e6)


def test_it_does_not_run_before_it_begins() -> None:
    deadline = Deadline(10.0, reserve=2.0)
    assert (deadline.at, deadline.last_attempt) == (None, None)


def test_it_runs_from_its_beginning_on() -> None:
    deadline = Deadline(10.0)
    deadline.begin(100.0)
    assert (deadline.at, deadline.last_attempt) == (110.0, 110.0)


@given(seconds, st.lists(seconds, min_size=1))
def test_it_begins_once(length: float, times: list[float]) -> None:
    deadline = Deadline(length)
    for now in times:
        deadline.begin(now)
    assert deadline.at == times[0] + length


def test_of_none_there_is_no_bound() -> None:
    deadline = Deadline(None, reserve=2.0)
    deadline.begin(100.0)
    assert (deadline.at, deadline.last_attempt) == (None, None)


def test_nothing_is_sent_in_its_reserve() -> None:
    deadline = Deadline(10.0, reserve=2.0)
    deadline.begin(100.0)
    assert (deadline.at, deadline.last_attempt) == (110.0, 108.0)


def test_a_reserve_can_be_kept_later_on() -> None:
    deadline = Deadline(10.0)
    deadline.begin(100.0)
    deadline.reserve = 3.0
    assert (deadline.at, deadline.last_attempt) == (110.0, 107.0)


@pytest.mark.parametrize("at", [0.0, 50.0, None])
def test_one_by_a_time_runs_already(at: float | None) -> None:
    deadline = Deadline.by(at)
    deadline.begin(100.0)
    assert (deadline.at, deadline.last_attempt) == (at, at)
