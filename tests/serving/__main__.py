"""The long form: ``python -m nox -s load``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from itertools import product
from pathlib import Path

from serving.load import SCENARIOS, Load, carry_out
from serving.process import START


def main() -> int:
    """Run each service in each scenario, and say what came of it; 1 if any call was ended wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=100)
    parser.add_argument("--requests", type=int, default=60, help="the quota: uploads a window")
    parser.add_argument("--window", type=float, default=6.0, help="seconds of the vendor's minute")
    parser.add_argument("--deadline", type=float, default=20.0, help="seconds of a call")
    parser.add_argument("--seeds", type=int, default=3, help="how often each is run")
    options = parser.parse_args()
    wrong = 0
    for framework, scenario, seed in product(START, SCENARIOS, range(options.seeds)):
        load = Load(
            framework,
            scenario,
            options.callers,
            options.requests,
            options.window,
            options.deadline,
            latency=(0.3, 0.6),
            seed=seed,
        )
        with tempfile.TemporaryDirectory() as folder:
            verdict = asyncio.run(carry_out(load, Path(folder)))
        wrong += verdict.doubles + len(verdict.misled) + verdict.ambiguous + verdict.tracebacks
        statuses = ", ".join(f"{count} x {status}" for status, count in sorted(verdict.statuses.items()))
        print(
            f"{framework:7} {scenario:13} {statuses}; {verdict.voices} voices; "
            f"{verdict.unanswered} unanswered, {verdict.ambiguous} ambiguous, {verdict.doubles} doubles, "
            f"{len(verdict.misled)} misled, {verdict.tracebacks} tracebacks; "
            f"{verdict.seconds:.1f} s; {verdict.drained}",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
