"""The long form: ``python -m nox -s soak``."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from killing.driver import ALL_MOMENTS, Driver


def main() -> int:
    """Kill runs, and say what came of it; 1 if anything is missing or there twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=130, help="runs to kill at some moment")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    moments = [ALL_MOMENTS[number % len(ALL_MOMENTS)] for number in range(options.kills)]
    random.Random(options.seed).shuffle(moments)
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(Path(folder), options.uploads, options.seed, lambda line: print(line, flush=True))
        most = max(1, options.uploads * 3 // options.kills)
        verdict = asyncio.run(driver.carry_out(moments, most=most))
    print(
        f"{verdict.uploads} uploads, {verdict.kills} kills in {verdict.seconds:.0f} s: "
        f"missing {len(verdict.missing)}, twice {len(verdict.twice)}, wrong uris {verdict.wrong_uris}"
    )
    print(", ".join(f"{count} {moment}" for moment, count in verdict.kills_at.most_common()))
    for name in (*verdict.missing, *verdict.twice):
        print(f"  {name}")
    return 1 if verdict.missing or verdict.twice or verdict.wrong_uris else 0


if __name__ == "__main__":
    sys.exit(main())
