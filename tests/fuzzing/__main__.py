"""The long form: ``python -m nox -s fuzz``."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from fuzzing.driver import Watch, fuzz
from fuzzing.targets import TARGETS, Target


def _before(end: float, _inputs: int) -> bool:
    return time.monotonic() < end


def guided(target: Target, folder: Path, *, seconds: float, seed: int) -> tuple[int, int, int]:
    """Let libFuzzer look for inputs that take other branches, which it leaves in *folder*.

    Returns the numbers of its inputs, of those that were refused, and of foreign errors.
    """
    command = [sys.executable, "-m", "fuzzing.guided", target.name, str(folder)]
    options = ["--seconds", str(seconds), "--seed", str(seed)]
    done = subprocess.run([*command, *options], capture_output=True, check=False, text=True)
    if done.returncode:  # libFuzzer itself ended; what it has learned is there
        print(f"the guided fuzzer of {target.name} broke: {done.stderr[-1000:]}")
        return 0, 0, 0
    inputs, refused, foreign = map(int, done.stdout.split()[-3:])
    return inputs, refused, foreign


def _report(target: Target, watch: Watch, before: tuple[int, int, int]) -> str:
    inputs, refused, _ = before
    return (
        f"{target.name:12} {inputs + watch.inputs:10,} inputs ({inputs:,} guided), "
        f"{refused + watch.refused:10,} refused, {len(watch.foreign)} foreign, slowest {watch.slowest}, "
        f"memory {watch.grown / 1024:+,.0f} KiB, by one at most {watch.peak / 1024:+,.0f} KiB"
    )


def main() -> int:
    """Fuzz each target for some seconds; 1 if anything foreign was raised, or anything took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each target (default: 20)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--only", nargs="*", default=[target.name for target in TARGETS])
    options = parser.parse_args()
    print(f"seed {options.seed}", "" if find_spec("atheris") else "(without atheris: not guided)", flush=True)
    wrong = 0
    for target in TARGETS:
        if target.name not in options.only:
            continue
        before, seconds, more = (0, 0, 0), options.seconds, list[bytes]()
        if find_spec("atheris"):
            seconds /= 2
            with tempfile.TemporaryDirectory() as name:
                before = guided(target, Path(name), seconds=seconds, seed=options.seed)
                more = [path.read_bytes() for path in sorted(Path(name).iterdir())]
        end = time.monotonic() + seconds
        watch = fuzz(target, seed=options.seed, goes_on=partial(_before, end), more=more)
        wrong += bool(watch.foreign or watch.slow[0][0] > 1)
        print(_report(target, watch, before), flush=True)
        for data, error in watch.foreign[:3]:
            print(f"  {error!r:.200} of {data[:200]!r}")
        for part, data in watch.slow[:3]:
            if part > 1:
                print(f"  {part:.1f} times as long as allowed: {data[:200]!r}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
