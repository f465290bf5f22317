from __future__ import annotations

import pytest

from simulation import rows
from simulation.events import Row, play
from simulation.numbers import LEARNING, OPENING, OVERLOAD, Number
from simulation.table import POLICIES, brown_out, burst_ratios, score, throttle

GROUPS = dict(rows.table())
FIXED = GROUPS["fixed windows"]
SOME = [row for group in GROUPS.values() for row in group if row.uploads <= 400 and "phase 4" not in row.name]


@pytest.mark.parametrize("row", [row for row in FIXED if row.uploads < 4_000], ids=str)
def test_fixed_windows_are_learned_at_every_phase(row: Row) -> None:
    one = score(row, throttle)
    assert one.few_refused
    assert one.ratio <= 1.06


@pytest.mark.parametrize("row", [row for row in SOME if "half used" not in row.name], ids=str)
def test_no_row_is_far_from_the_reference(row: Row) -> None:
    one = score(row, throttle, (0,))
    assert one.refused <= max(0.3 * row.uploads, 1.2 * row.at_once)
    assert one.ratio <= 2


def test_it_does_better_than_each_of_the_simpler_ways() -> None:
    fixed = FIXED[12:24]
    mine, *others = ([score(row, make, (0,)) for row in fixed] for make in POLICIES.values())
    reached = sum(one.reached for one in mine)
    assert all(sum(one.reached for one in theirs) < reached for theirs in others)


def test_an_account_with_room_is_not_slowed_down() -> None:
    ratios = {row.name: ratio for row, ratio in burst_ratios(throttle)}
    assert ratios.pop("100, 100 at once") <= 4  # it is over before the first answer could tell anything
    assert max(ratios.values()) <= 1.5


def test_after_a_brown_out_full_speed_is_back_within_ten_seconds() -> None:
    brown = brown_out(throttle)
    assert brown.attempts <= 1.2
    assert brown.back_after <= 10


def test_a_service_that_takes_few_at_once_is_not_hammered() -> None:
    outcome = play(rows.NARROW, throttle(rows.NARROW))
    assert outcome.attempts <= 1.4 * outcome.uploads
    assert outcome.seconds <= 1.5 * outcome.uploads / 8


SMALL = [*SOME[::3], *GROUPS["6 a minute, 32 at once, answers of 0.5 to 1.5 s"]]


def outcomes() -> list[object]:
    return [
        *(str(score(row, throttle, (0,))) for row in SMALL),
        *(play(row, throttle(row)) for row in (rows.NARROW, rows.HALF_OUT)),
        *(str(ratio) for _, ratio in burst_ratios(throttle, (0,))),
        brown_out(throttle),
    ]


@pytest.fixture(scope="module")
def plain() -> list[object]:
    return outcomes()


@pytest.mark.parametrize("number", [*OPENING, *LEARNING, *OVERLOAD], ids=str)
def test_every_number_does_something(number: Number, plain: list[object]) -> None:
    for factor in (0.5, 2.0):
        with number.times(factor):
            assert outcomes() != plain
