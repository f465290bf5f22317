from __future__ import annotations

import sys

import pytest

from fuzzing.driver import fuzz
from fuzzing.targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_broken_at_random_ends_in_a_value_or_an_error_of_the_sdks(target: Target) -> None:
    found = fuzz(target, seed=1, goes_on=lambda inputs: inputs < 300)
    assert (found.inputs, found.foreign) == (300, [])
    # Of what each may take; twice that, for a machine with much else to do, and more where lines are counted.
    assert found.slow[0][0] < (2 if sys.gettrace() is None else 20)


def test_a_foreign_error_would_be_found() -> None:
    def read(data: bytes) -> None:
        if b"\0" in data:
            raise KeyError(0)

    found = fuzz(Target("bad", read, [b"a"]), seed=1, goes_on=lambda inputs: inputs < 300)
    assert {type(error) for _, error in found.foreign} == {KeyError}


def test_what_takes_too_long_would_be_found() -> None:
    def read(data: bytes) -> None:
        if b"\0" in data:
            sum(range(1_000_000))

    found = fuzz(Target("slow", read, [b"a"]), seed=1, goes_on=lambda inputs: inputs < 100)
    assert found.slow[0][0] > 2
