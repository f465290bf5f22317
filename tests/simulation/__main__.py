"""Prints the table over events and the rows of it that are played over HTTP, and draws the timelines.

python -m simulation [--charts FOLDER] [--table FILE] [--events]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from siliconflow_voice.emulator import Quota
from simulation import rows
from simulation.brownout import BrownOut, simulate_brownout
from simulation.chart import Panel, draw
from simulation.events import Row, reference_seconds
from simulation.lossy import simulate_lossy
from simulation.numbers import LEARNING, OPENING, Number
from simulation.policies import BotocoreAdaptive, botocore_standard, openai_defaults, simulate_policy
from simulation.scenarios import Result, Scenario, simulate
from simulation.table import POLICIES, Score, brown_out, burst_ratios, score, summary, throttle


def over_http(limit: int, uploads: int) -> Iterator[Scenario]:
    """Yield each kind of server, with one limit: what is played over HTTP too."""
    for phase in (0.0, 20.0, 40.0, 55.0):
        yield Scenario(Quota(requests=limit, phase=phase), uploads)
    for _, quota in rows.quotas(limit):
        yield Scenario(quota, uploads)


def reference(scenario: Scenario) -> float:
    """Return how long a sender takes that knows the limit and not the phase."""
    return reference_seconds(Row("", scenario.quota, scenario.uploads, scenario.coroutines, scenario.latency))


def line(scenario: Scenario) -> str:
    """Play a scenario over HTTP, and return its row of the table."""
    result = simulate(scenario)
    return (
        f"{scenario!s:33} {scenario.quota.requests:5} {scenario.uploads:6} uploads {result.failed:4} failed "
        f"{result.refused:5} refused ({result.refused / scenario.uploads:6.1%}) {result.seconds:6.0f} s "
        f"{result.seconds / reference(scenario):5.2f} x"
    )


def policy_score(row: Row, name: str) -> Score | None:
    """Play a row by a policy; None if it does not come to an end."""
    try:
        return score(row, POLICIES[name])
    except AssertionError:
        return None


def changed_score(row: Row, number: Number, factor: float) -> Score:
    """Play a row with another value of a number."""
    with number.times(factor):
        return score(row, throttle, (0,))


def over_events(pool: ProcessPoolExecutor) -> Iterator[str]:
    """Say what the throttle makes of every row, and others of all of them."""
    everything: list[Score] = []
    yield "r: more refused than 5 %, or than may be under way at once; t: more than 1.06 x the reference"
    for title, group in rows.table():
        scores = list(pool.map(partial(score, make=throttle), group, chunksize=4))
        everything += scores
        yield from ("", title, f"  {summary(scores)}", *(f"    {one}" for one in scores))
    yield from ("", f"all: {summary(everything)}", "")
    yield "the same by simpler ways:"
    some = [row for _, group in rows.table() for row in group if row.tokens == 1]
    for name in POLICIES:
        scored = list(pool.map(partial(policy_score, name=name), some, chunksize=4))
        ended = [one for one in scored if one is not None]
        endless = f"; without an end {len(scored) - len(ended)}" if len(ended) < len(scored) else ""
        yield f"  {name:40} {summary(ended)}{endless}"
    yield from ("", "bursts against an account with room, in units of a semaphore of the same size:")
    for row, ratio in burst_ratios(throttle):
        yield f"  {row.name:16} answers of {row.latency[0]:g} to {row.latency[1]:g} s: {ratio:.2f} x"
    brown = brown_out(throttle)
    yield f"brown-out: {brown.attempts:.3f} attempts each, 90 % of full speed {brown.back_after:.1f} s after"
    yield from ("", "each number, halved and doubled:")
    some = [row for row in some if row.uploads <= 400]
    plain = list(pool.map(partial(score, make=throttle, seeds=(0,)), some, chunksize=4))
    yield f"  {'as it is':20}     {summary(plain)}"
    for number in (*OPENING, *LEARNING):
        for factor in (0.5, 2.0):
            changed = list(pool.map(partial(changed_score, number=number, factor=factor), some, chunksize=4))
            yield f"  {number!s:20} x {factor:<3g} {summary(changed)}"


def compare(scenario: Scenario) -> Iterator[str]:
    """Say what reference policies make of the same."""
    policies = {
        "openai-python's defaults": lambda: openai_defaults,
        "botocore standard, 10 attempts": lambda: botocore_standard,
        "botocore adaptive": BotocoreAdaptive,
    }
    for name, policy in policies.items():
        result = simulate_policy(scenario, policy)  # type: ignore[arg-type] # on purpose
        yield (
            f"  {name:34} {result.failed:4} failed  {result.refused:5} refused  {result.seconds:7.0f} s  "
            f"{result.seconds / reference(scenario):5.2f} x"
        )


def charts(folder: Path) -> None:
    """Draw the timelines that the docs show."""
    panels = []
    quotas = [("fixed window, begun 20 s before", Quota(requests=60, phase=20)), *rows.quotas(60)]
    for name, quota in quotas:
        if quota.count_refusals:
            result = simulate(Scenario(quota, 400))
            panels.append(Panel(f"{name}: {result.refused} refused, {result.seconds:.0f} s", result, 60))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quotas.svg").write_text(draw(panels), encoding="utf-8")
    scenario = Scenario(Quota(requests=60, kind="sliding"), 400)
    compared = [Panel("siliconflow_voice", simulate(scenario), 60)]
    for name, policy in (
        ("botocore adaptive", BotocoreAdaptive),
        ("full jitter, 10 attempts", lambda: botocore_standard),
        ("openai-python's defaults", lambda: openai_defaults),
    ):
        result = simulate_policy(scenario, policy)
        compared.append(Panel(f"{name}: {result.refused} refused, {result.failed} failed", result))
    (folder / "compared.svg").write_text(draw(compared), encoding="utf-8")
    brownout = simulate_brownout()
    result = Result(0, 0, brownout.seconds, brownout.requests)
    (folder / "brownout.svg").write_text(
        draw([Panel("503 for nine of ten, from 20 s to 80 s", result)]), encoding="utf-8"
    )


def describe(brownout: BrownOut) -> str:
    """Say what became of a brown-out."""
    return (
        f"brown-out, 60 s of 503s at 90 %: {brownout.stored} of {brownout.uploads} stored, "
        f"{brownout.attempts_in_all} attempts ({brownout.attempts_in_all / brownout.stored:.3f} an upload); "
        f"within it {brownout.attempts_within} attempts, {brownout.stored_within} stored; "
        f"full speed {brownout.seconds_to_full_speed:.1f} s after its end"
    )


def main() -> None:
    """Print it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--charts", type=Path, help="draw them into this folder, instead of the table")
    parser.add_argument("--table", type=Path, help="write the table into this file too")
    parser.add_argument("--events", action="store_true", help="only what is played over events: seconds")
    options = parser.parse_args()
    began = time.perf_counter()
    lines: list[str] = []

    def tell(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    if options.charts:
        charts(options.charts)
        return
    with ProcessPoolExecutor() as pool:
        for text in over_events(pool):
            tell(text)
    if not options.events:
        for text in in_full():
            tell(text)
    if options.table:
        options.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"\n{time.perf_counter() - began:.0f} s of real time")


def in_full() -> Iterator[str]:
    """Say what comes of it with the real client, over HTTP."""
    yield from ("", "with the client, over HTTP to the emulator:")
    for limit, uploads in ((60, 400), (600, 2_000)):
        yield from (f"  {line(scenario)}" for scenario in over_http(limit, uploads))
    scenario = Scenario(Quota(requests=60, kind="sliding"), 400)
    yield from ("", f"others, on {scenario}, 60/min, 400 uploads:", *compare(scenario))
    yield from ("", describe(simulate_brownout()))
    lossy = simulate_lossy()
    yield (
        f"one answer of ten lost after storing: {lossy.stored} of {lossy.uploads} stored, "
        f"{lossy.duplicates} twice, {lossy.recovered} recovered ({lossy.lists} lists), {lossy.seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
