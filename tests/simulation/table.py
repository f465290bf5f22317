"""Plays rows with several seeds, and says which of them reach the aim."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import fmean

from attrs import frozen

from siliconflow_voice.throttle.limiter import Limiter
from siliconflow_voice.throttle.overload import Overload
from siliconflow_voice.throttle.pacing import Pace
from simulation.events import Row, Sender, play, reference_seconds
from simulation.rows import BROWN_OUT, bursts
from simulation.simpler import BotocoreAdaptive, EvenRate, OneLimit

SEEDS = range(3)
LONG = 3_000
"""Uploads from which on one seed says enough."""

SHARE, TIME = 0.05, 1.06
"""The aim: refused, and time against a sender that knows the limit and not the phase."""

MakeSender = Callable[[Row], Sender]


def throttle(row: Row) -> Sender:
    """Make what the client has."""
    return Limiter(Pace(60.0), Pace(60.0), Overload(row.at_once))


POLICIES: dict[str, MakeSender] = {
    "this throttle": throttle,
    "one limit a window, raised by trials": lambda row: OneLimit(row.at_once),
    "an even rate, AIMD, +1 a minute, × 0.8": lambda row: EvenRate(row.at_once, 1.0, 0.8),
    "an even rate, AIMD, +4 a minute, × 0.7": lambda row: EvenRate(row.at_once, 4.0, 0.7),
    "botocore's adaptive mode": lambda row: BotocoreAdaptive(row.at_once),
}


@frozen
class Score:
    """What a row came to, averaged over the seeds."""

    row: Row
    refused: float
    seconds: float
    reference: float

    @property
    def ratio(self) -> float:
        """Return the time, in units of the reference."""
        return self.seconds / self.reference

    @property
    def few_refused(self) -> bool:
        """Whether it is 5 %, or as many as may be under way at once."""
        return self.refused <= max(SHARE * self.row.uploads, self.row.at_once)

    @property
    def reached(self) -> bool:
        """Whether that is the aim."""
        return self.few_refused and self.ratio <= TIME

    def __str__(self) -> str:
        row = self.row
        low, high = row.latency
        limit = row.quota.requests or row.quota.tokens
        return (
            f"{row.name:33} {limit or '':>5} {row.at_once:4} x {low:g}-{high:g} s {row.uploads:6} uploads "
            f"{self.refused:6.0f} refused ({self.refused / row.uploads:6.1%}) {self.seconds:6.0f} s "
            f"{self.ratio:5.2f} x {'' if self.few_refused else 'r'}{'' if self.ratio <= TIME else 't'}"
        ).rstrip()


def score(row: Row, make: MakeSender, seeds: Iterable[int] = SEEDS) -> Score:
    """Play a row once for each seed."""
    seeds = (0,) if row.uploads > LONG else seeds
    outcomes = [play(row, make(row), seed=seed) for seed in seeds]
    return Score(
        row,
        fmean(outcome.refused for outcome in outcomes),
        fmean(outcome.seconds for outcome in outcomes),
        fmean(reference_seconds(row, seed=seed) for seed in seeds),
    )


def summary(scores: list[Score]) -> str:
    """Say in one line how many reach the aim, and what they come to on average."""
    return (
        f"{sum(one.reached for one in scores):4} of {len(scores):3} reach the aim; "
        f"refused {fmean(one.refused / one.row.uploads for one in scores):6.1%}, "
        f"at most {max(one.refused / one.row.uploads for one in scores):6.1%}; "
        f"time {fmean(one.ratio for one in scores):.3f} x, at most {max(one.ratio for one in scores):.2f} x"
    )


def burst_ratios(make: MakeSender, seeds: Iterable[int] = SEEDS) -> list[tuple[Row, float]]:
    """Return each burst with its longest time, in units of an unthrottled semaphore's of the same size."""
    return [
        (
            row,
            max(
                play(row, make(row), seed=seed).seconds / reference_seconds(row, seed=seed) for seed in seeds
            ),
        )
        for row in bursts()
    ]


@frozen
class BrownOut:
    """What a brown-out cost, and how soon it was over."""

    attempts: float
    """Of each accepted upload."""
    back_after: float
    """Seconds from its end to 90 % of full speed."""


def brown_out(make: MakeSender) -> BrownOut:
    """Play the brown-out."""
    row = BROWN_OUT
    assert row.brown_out is not None
    outcome, ends, span = play(row, make(row)), row.brown_out[1], 2.0
    full = row.at_once / (sum(row.latency) / 2)
    came = [at for at, refused in outcome.sent if refused is None and at >= ends]
    within = int(0.9 * full * span)
    back = next(
        (last for first, last in zip(came, came[within - 1 :], strict=False) if last - first <= span),
        float("inf"),
    )
    return BrownOut(outcome.attempts / row.uploads, back - ends)
