"""The long form: ``python -m nox -s fleet``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from fleet_soak.driver import Driver, Plan


def main() -> int:
    """Run a fleet, and say what came of it; 1 if anything is missing, there twice, or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills")
    parser.add_argument("--per-minute", type=int, default=6_000, help="the quota; 0 for none")
    parser.add_argument("--window", type=float, default=6.0, help="seconds that its minute is scaled to")
    parser.add_argument("--lost", type=float, default=0.02, help="share of answers that are lost")
    parser.add_argument("--no-restart", action="store_true", help="don't restart the database in the middle")
    parser.add_argument("--apart", action="store_true", help="a throttle for each worker, to compare")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    plan = Plan(
        uploads=asked.uploads,
        workers=asked.workers,
        kills=asked.kills,
        every=asked.every,
        per_minute=asked.per_minute,
        window=asked.window,
        lost=asked.lost,
        restart=not asked.no_restart,
        apart=asked.apart,
        seed=asked.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(Driver(plan, Path(folder), lambda line: print(line, flush=True)).carry_out())
    print(
        f"{plan.uploads} uploads by {plan.workers} workers, {verdict.kills} kills: "
        f"missing {len(verdict.missing)}, twice {len(verdict.twice)}, wrong uris {verdict.wrong_uris}"
    )
    print(f"{verdict.seconds:.0f} s, ideal {plan.ideal:.0f} s")
    print(", ".join(f"{count} {answer}" for answer, count in sorted(verdict.answers.items())))
    print(", ".join(f"{count} {name}" for name, count in verdict.results.most_common()))
    return 1 if verdict.missing or verdict.twice or verdict.wrong_uris else 0


if __name__ == "__main__":
    sys.exit(main())
