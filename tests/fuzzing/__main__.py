"""The long form: ``python -m nox -s fuzz``."""

from __future__ import annotations

import argparse
import random
import sys
import time
from functools import partial

from fuzzing.driver import fuzz
from fuzzing.targets import TARGETS


def _before(end: float, _inputs: int) -> bool:
    return time.monotonic() < end


def main() -> int:
    """Fuzz each target for some seconds; 1 if anything foreign was raised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each target (default: 20)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    foreign = 0
    for target in TARGETS:
        end = time.monotonic() + options.seconds
        found = fuzz(target, seed=options.seed, goes_on=partial(_before, end))
        foreign += len(found.foreign)
        print(
            f"{target.name:12} {found.inputs:9,} inputs, {found.refused:9,} refused, "
            f"{len(found.foreign)} foreign, slowest {found.slowest * 1000:.1f} ms a megabyte, "
            f"{found.growth / 1024:+,.0f} KiB",
            flush=True,
        )
        for data, error in found.foreign[:3]:
            print(f"  {error!r:.200} of {data[:200]!r}")
    return 1 if foreign else 0


if __name__ == "__main__":
    sys.exit(main())
