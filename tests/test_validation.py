from __future__ import annotations

from typing import Any

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.validation import at_least_one, positive, positive_or_none


@frozen
class Figures:
    seconds: Any = field(default=1.0, validator=positive)
    bound: Any = field(default=None, validator=positive_or_none)
    count: Any = field(default=1, validator=at_least_one)


@given(st.floats(min_value=0, exclude_min=True) | st.integers(min_value=1))
def test_a_number_above_0_is_taken(number: float) -> None:
    figures = Figures(seconds=number, bound=number)
    assert (figures.seconds, figures.bound) == (number, number)


@pytest.mark.parametrize("value", [0, 0.0, -1, -0.5, float("nan"), float("-inf"), "1", None, [], 1j])
def test_what_is_no_number_above_0_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Figures(seconds=value)
    assert str(caught.value) == f"Figures.seconds must be a number above 0, got {value!r}."


def test_none_is_no_bound() -> None:
    assert Figures(bound=None).bound is None


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "none"])
def test_a_bound_is_none_or_a_number_above_0(value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Figures(bound=value)
    assert str(caught.value) == f"Figures.bound must be a number above 0, got {value!r}."


@given(st.integers(min_value=1))
def test_a_whole_number_from_1_is_taken(number: int) -> None:
    assert Figures(count=number).count == number


@pytest.mark.parametrize("value", [0, -1, 1.0, 2.5, True, float("inf"), "1", None])
def test_what_is_no_whole_number_from_1_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Figures(count=value)
    rule = "at least 1" if type(value) is int else "a whole number"
    assert str(caught.value) == f"Figures.count must be {rule}, got {value!r}."
