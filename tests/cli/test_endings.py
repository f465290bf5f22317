from __future__ import annotations

import signal

import pytest

from siliconflow_voice import JournalError, SiliconFlowError
from siliconflow_voice.cli.endings import Ending


def test_all_done_is_zero() -> None:
    assert Ending.of(failed=0, stopped_by=None, signal=None) == Ending(0)


def test_some_that_failed_are_one() -> None:
    assert Ending.of(failed=3, stopped_by=None, signal=None) == Ending(1)


def test_what_stopped_it_is_three_and_told_with_its_notes() -> None:
    error = JournalError("The disk is full")
    error.add_note("narrator was uploaded")
    ending = Ending.of(failed=3, stopped_by=error, signal=None)
    assert ending == Ending(3, "The disk is full. narrator was uploaded", resumable=False)


def test_what_has_nothing_to_do_with_the_journal_can_be_gone_on_from() -> None:
    ending = Ending.of(failed=0, stopped_by=SiliconFlowError("No connection"), signal=None)
    assert ending == Ending(3, "No connection.", resumable=True)


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [(signal.SIGINT, 130, "interrupted by SIGINT"), (signal.SIGTERM, 143, "interrupted by SIGTERM")],
)
def test_a_signal_goes_before_all_else(number: int, status: int, reason: str) -> None:
    ending = Ending.of(failed=3, stopped_by=JournalError("full"), signal=number)
    assert ending == Ending(status, reason)
