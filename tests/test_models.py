from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from attrs import exceptions, fields

from siliconflow_voice.calls.events import (
    AttemptEvent,
    Event,
    OutcomeEvent,
    QueueEvent,
    SettleEvent,
    WaitEvent,
)
from siliconflow_voice.errors import APIConnectionError
from siliconflow_voice.models import Attempt, Failure, Voice

ATTEMPT = Attempt(1, 0.0, 0.25, status=200, trace_id="ti_1")
VOICE = Voice("speech:narrator:a:b", "m", "narrator", "慢工出细活", True, (ATTEMPT,), "ti_1")
EVENTS: list[Event] = [
    AttemptEvent(1, "upload_voice", "narrator", ATTEMPT),
    WaitEvent(1, "upload_voice", "narrator", 0.5, APIConnectionError("reset")),
    OutcomeEvent(1, "upload_voice", "narrator", 0.75, (ATTEMPT,), None),
    QueueEvent(1, "upload_voice", "narrator", 2.5, 3),
    SettleEvent(1, "upload_many", "voices.journal", 4.5, 2),
]
VALUES = [ATTEMPT, VOICE, *EVENTS]


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - it is our own


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_frozen(value: Any) -> None:
    for field in fields(type(value)):
        with pytest.raises(exceptions.FrozenInstanceError):
            setattr(value, field.name, None)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_takes_nothing_that_it_does_not_name(value: object) -> None:
    with pytest.raises((AttributeError, TypeError)):
        object.__setattr__(value, "novel", 1)


@pytest.mark.parametrize("value", [ATTEMPT, VOICE])
def test_a_value_is_the_same_pickled_or_copied(value: object) -> None:
    twins = [pickled(value), copy.copy(value), copy.deepcopy(value)]
    assert [value] * 3 == twins
    assert [repr(value)] * 3 == list(map(repr, twins))


def test_a_pickled_voice_keeps_its_history() -> None:
    twin = pickled(VOICE)
    assert (twin.recovered, twin.attempts, twin.trace_id) == (True, (ATTEMPT,), "ti_1")


def test_a_pickled_event_keeps_its_error() -> None:
    event = pickled(EVENTS[1])
    assert (type(event.error), str(event.error)) == (APIConnectionError, "reset.")


def test_a_voice_is_what_it_says_however_it_was_made() -> None:
    listed = Voice("speech:narrator:a:b", "m", "narrator", "慢工出细活")
    assert listed == VOICE
    assert hash(listed) == hash(VOICE)


@pytest.mark.parametrize("field", ["uri", "model", "custom_name", "text"])
def test_a_voice_that_differs_in_what_it_says_is_another(field: str) -> None:
    facts: dict[str, Any] = {"uri": "u", "model": "m", "custom_name": "n", "text": "t"}
    assert Voice(**facts) != Voice(**facts | {field: "x"})


def test_a_listed_voice_was_not_recovered_and_has_no_history() -> None:
    voice = Voice("u", "m", "n", "t")
    assert (voice.recovered, voice.attempts, voice.trace_id) == (False, (), None)


def test_a_voice_shows_what_a_reader_wants() -> None:
    assert repr(Voice("u", "m", "n", "t", recovered=True, attempts=(ATTEMPT,), trace_id="ti_1")) == (
        "Voice(uri='u', model='m', custom_name='n', text='t', recovered=True)"
    )


def test_an_attempt_is_a_success_unless_told() -> None:
    attempt = Attempt(1, 0.0, 0.25)
    facts = (attempt.status, attempt.code, attempt.cause, attempt.failure, attempt.trace_id)
    assert facts == (None, None, None, None, None)


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_stays_itself_when_pickled(failure: Failure) -> None:
    assert pickled(failure) is failure


def test_an_event_is_told_by_its_class() -> None:
    told = []
    for event in EVENTS:
        match event:
            case AttemptEvent(attempt=Attempt(number=number)):
                told.append(f"attempt {number}")
            case QueueEvent(ahead=ahead):
                told.append(f"queue behind {ahead}")
            case WaitEvent(seconds=seconds):
                told.append(f"wait {seconds}")
            case OutcomeEvent(error=None, attempts=attempts):
                told.append(f"success after {len(attempts)}")
            case SettleEvent(uploads=uploads):
                told.append(f"settle for {uploads}")
    assert told == ["attempt 1", "wait 0.5", "success after 1", "queue behind 3", "settle for 2"]
