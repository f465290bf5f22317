"""Each fault, at each moment, for each encoding and kind of source: what it comes to, and what it leaves."""

from __future__ import annotations

import os

import pytest
from support.faults.page import PAGE, VARIABLE, Observations
from support.faults.play import Played, World, play
from support.faults.rules import CONNECT, HANDSHAKE, Case
from support.faults.table import CASES, FAULTS


def test_no_fault_is_in_the_table_twice() -> None:
    names = [(fault.name, moment) for fault in FAULTS for moment in fault.moments]
    assert sorted(set(names), key=str) == sorted(names, key=str)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_comes_to_what_is_promised_and_leaves_nothing(
    case: Case, world: World, observations: Observations
) -> None:
    played = play(case, world)
    attempts = played.outcome.attempts
    expected = Played(
        outcome=case.expected(),
        message=played.message,
        consumed=True,
        connections=attempts - 1 if case.moment in {CONNECT, HANDSHAKE} else attempts,
        elsewhere=0,
        intact=True,
        left=[],
    )
    assert expected == played
    assert case.fault.says in played.message
    observations.outcomes[case] = played.outcome


def test_the_documentation_says_what_was_observed(observations: Observations) -> None:
    if not observations.complete:
        pytest.skip("only a part of the matrix was played, or not all of it went well")
    if os.environ.get(VARIABLE):
        pytest.skip("the page is about to be written")
    assert observations.page() == PAGE.read_text("utf-8")
