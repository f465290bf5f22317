from __future__ import annotations

from typing import Literal

import pytest

from siliconflow_voice.emulator import Quota
from simulation.__main__ import over_http, reference
from simulation.brownout import simulate_brownout
from simulation.chart import Panel, draw
from simulation.lossy import simulate_lossy
from simulation.policies import BotocoreAdaptive, openai_defaults, simulate_policy
from simulation.scenarios import Scenario, simulate

Kind = Literal["fixed", "sliding", "bucket"]

SLIDING = Scenario(Quota(requests=60, kind="sliding"), 400)


@pytest.mark.parametrize("scenario", list(over_http(60, 400)), ids=str)
def test_a_limit_that_nobody_declared_is_learned_and_kept(scenario: Scenario) -> None:
    result = simulate(scenario)
    assert result.failed == 0
    assert result.refused <= 0.15 * scenario.uploads
    assert result.seconds <= 1.15 * reference(scenario)


def limited(requests: int, kind: Kind) -> Quota:
    return Quota(requests=requests, kind=kind)


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_a_limit_that_is_raised_is_found_out(kind: Kind) -> None:
    scenario = Scenario(limited(60, kind), 600, later=(150, limited(120, kind)))
    result = simulate(scenario)
    unraised = reference(Scenario(limited(60, kind), 600))
    assert result.failed == 0
    assert result.seconds < 0.97 * unraised


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_a_limit_that_is_lowered_is_found_out(kind: Kind) -> None:
    result = simulate(Scenario(limited(120, kind), 400, later=(100, limited(60, kind))))
    assert result.failed == 0
    assert result.refused <= 0.25 * 400
    assert result.seconds <= 450


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_what_others_use_of_the_account_is_left_to_them(kind: Kind) -> None:
    scenario = Scenario(limited(60, kind), 300, others_every=2.0)
    result = simulate(scenario)
    assert result.failed == 0
    assert result.seconds <= 1.4 * 300 / 30 * 60


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_a_limit_of_tokens_is_learned_though_texts_differ(kind: Kind) -> None:
    quota = Quota(tokens=600, kind=kind)
    scenario = Scenario(quota, 200, text="慢" * 39)  # twenty tokens each, on average: thirty a minute
    result = simulate(scenario)
    assert result.failed == 0
    assert result.refused <= 0.25 * 200
    assert result.seconds <= 1.25 * 200 / 30 * 60


def test_it_does_better_than_policies_that_know_nothing_of_each_other() -> None:
    mine = simulate(SLIDING)
    adaptive = simulate_policy(SLIDING, BotocoreAdaptive)
    openai = simulate_policy(SLIDING, lambda: openai_defaults)
    assert mine.refused < adaptive.refused / 3
    assert openai.failed > 100


def test_a_brown_out_is_not_made_worse() -> None:
    brownout = simulate_brownout()
    assert brownout.stored == brownout.uploads
    assert brownout.attempts_in_all <= 1.2 * brownout.stored
    assert brownout.seconds_to_full_speed <= 20


def test_answers_that_are_lost_make_no_duplicates() -> None:
    lossy = simulate_lossy(uploads=300)
    assert (lossy.stored, lossy.duplicates) == (300, 0)
    assert lossy.recovered > 10


def test_a_run_can_be_drawn() -> None:
    result = simulate(Scenario(Quota(requests=60), 80))
    drawing = draw([Panel("80 & more", result, 60)])
    assert drawing.count("<polyline") == 1
    assert "80 &amp; more" in drawing


@pytest.mark.parametrize(
    ("quota", "seconds"),
    [
        (Quota(requests=60), 361),
        (Quota(requests=60, kind="sliding"), 361),
        (Quota(requests=60, kind="bucket"), 341),
        (Quota(requests=60, kind="bucket", burst=10), 391),
    ],
    ids=["fixed", "sliding", "bucket", "small bucket"],
)
def test_the_reference_is_what_the_quota_allows(quota: Quota, seconds: float) -> None:
    assert reference(Scenario(quota, 400)) == pytest.approx(seconds, abs=1.5)
