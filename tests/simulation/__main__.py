"""Prints the table of all combinations, beside what others do, and draws the timelines for the docs.

python -m simulation [--charts FOLDER] [--quick]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from siliconflow_voice.emulator import Quota
from simulation.brownout import BrownOut, simulate_brownout
from simulation.chart import Panel, draw
from simulation.lossy import simulate_lossy
from simulation.policies import BotocoreAdaptive, botocore_standard, openai_defaults, simulate_policy
from simulation.scenarios import Result, Scenario, ideal_seconds, simulate

AIM, FLOOR = (0.05, 1.05), (0.15, 1.15)


def quotas(limit: int) -> Iterator[Quota]:
    """Each kind of server, with one limit."""
    for kind in ("fixed", "sliding"):
        for counted in (True, False):
            yield Quota(requests=limit, kind=kind, count_refusals=counted)
    for burst in (limit, max(limit // 6, 1)):
        for counted in (True, False):
            yield Quota(requests=limit, kind="bucket", burst=burst, count_refusals=counted)


def required() -> Iterator[Scenario]:
    """What must come out well."""
    for limit, uploads in ((60, 400), (600, 4_000)):
        for quota in quotas(limit):
            yield Scenario(quota, uploads)


def others() -> Iterator[Scenario]:
    """Small and large limits, one coroutine and many, fast answers and slow ones."""
    for limit, uploads, coroutines, latency in (
        (6, 60, 32, (0.5, 1.5)),
        (60, 400, 8, (0.02, 0.02)),
        (60, 200, 1, (0.5, 0.5)),
        (60, 400, 256, (0.5, 1.5)),
        (60, 400, 32, (2.0, 4.0)),
        (60, 400, 32, (8.0, 12.0)),
        (6_000, 12_000, 256, (0.2, 0.6)),
    ):
        for quota in quotas(limit):
            yield Scenario(quota, uploads, coroutines, latency)


def line(scenario: Scenario, result: Result) -> str:
    """Give a row of the table."""
    ideal = ideal_seconds(scenario)
    refused, ratio = result.refused / scenario.uploads, result.seconds / ideal
    mark = " " if (refused, ratio) <= AIM and ratio <= AIM[1] else "."
    if refused > FLOOR[0] or ratio > FLOOR[1] or result.failed:
        mark = "x"
    low, high = scenario.latency
    return (
        f"{scenario!s:26} {scenario.quota.requests:5}/min {scenario.coroutines:4} x {low:g}-{high:g} s "
        f"{scenario.uploads:6} uploads {result.failed:4} failed {result.refused:5} refused ({refused:6.1%}) "
        f"{result.seconds:7.0f} s  ideal {ideal:6.0f} s  {ratio:5.2f} x  {mark}"
    )


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
            f"{result.seconds / ideal_seconds(scenario):5.2f} x"
        )


def charts(folder: Path) -> None:
    """Draw the timelines that the docs show."""
    names = {"fixed": "fixed window", "sliding": "sliding window, refusals counted"}
    panels = []
    for quota in quotas(60):
        if quota.count_refusals:
            name = names.get(quota.kind, f"bucket of {quota.burst}")
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
    parser.add_argument("--quick", action="store_true", help="only what must come out well")
    options = parser.parse_args()
    began = time.perf_counter()
    lines: list[str] = []

    def tell(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    if options.charts:
        charts(options.charts)
        return
    scenarios = [*required(), *(() if options.quick else others())]
    marks = []
    for scenario in scenarios:
        row = line(scenario, simulate(scenario))
        marks.append(row[-1])
        tell(row)
    tell(
        f"\n{len(marks)} combinations: {marks.count(' ')} reach the aim (5 % refused, 1.05 x the ideal), "
        f"\n{marks.count('.')} the floor (15 %, 1.15 x), {marks.count('x')} neither.\n"
    )
    scenario = Scenario(Quota(requests=60, kind="sliding"), 400)
    tell(f"others, on {scenario}, 60/min, 400 uploads:")
    for text in (*compare(scenario), "", describe(simulate_brownout())):
        tell(text)
    lossy = simulate_lossy()
    tell(
        f"one answer of ten lost after storing: {lossy.stored} of {lossy.uploads} stored, "
        f"{lossy.duplicates} twice, {lossy.recovered} recovered ({lossy.lists} lists), {lossy.seconds:.0f} s"
    )
    if options.table:
        options.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"\n{time.perf_counter() - began:.0f} s of real time")


if __name__ == "__main__":
    main()
