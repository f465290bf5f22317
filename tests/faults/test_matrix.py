"""Each fault, at each moment, for each encoding and kind of source: what it comes to, and what it leaves."""

from __future__ import annotations

import os

import pytest
from support.faults.page import PAGE, VARIABLE, page
from support.faults.play import Played, World, play
from support.faults.rules import CONNECT, HANDSHAKE, WRAPPED, Case, Fault, is_said
from support.faults.table import CASES, FAULTS


def test_no_fault_is_in_the_table_twice() -> None:
    names = [(fault.name, moment) for fault in FAULTS for moment in fault.moments]
    assert sorted(set(names), key=str) == sorted(names, key=str)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_has_words_unless_it_is_harmless(fault: Fault) -> None:
    assert bool(fault.says.strip("… ")) == (fault.met is not None)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_comes_to_what_is_promised_and_leaves_nothing(case: Case, world: World) -> None:
    played = play(case, world)
    attempts = played.outcome.attempts
    expected = Played(
        outcome=case.expected(),
        consumed=True,
        connections=attempts - 1 if case.moment in {CONNECT, HANDSHAKE} else attempts,
        elsewhere=0,
        intact=True,
        left=[],
    )
    assert expected == played
    assert is_said(case.fault.says, played.met), played.met
    if expected.outcome.raised is not None:
        assert is_said(case.fault.says, played.raised), played.raised
        assert is_said(WRAPPED.get(expected.outcome.raised, ""), played.raised), played.raised


def test_the_documentation_says_what_the_cases_are_held_to() -> None:
    if os.environ.get(VARIABLE):
        PAGE.write_text(page(), "utf-8")
    assert page() == PAGE.read_text("utf-8")
