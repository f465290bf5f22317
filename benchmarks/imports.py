"""What it costs to import the package, against aiohttp alone: CPU of processes of their own, in turns."""

from __future__ import annotations

import compileall
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import siliconflow_voice

ASKED = 1.25
ROUNDS = 15
MODULES = ("aiohttp", "siliconflow_voice")


def cpu(module: str) -> float:
    """Import it in a process of its own; return the seconds of CPU that the process took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print milliseconds, and the ratio that is asked for."""
    # As an installation leaves it: without bytecode, it would be compiled by each import anew.
    package = Path(siliconflow_voice.__file__).parent
    compileall.compile_dir(package, quiet=1)
    os.environ["PYTHONPATH"] = str(package.parent)
    costs = {module: [cpu(module) for _ in range(2)][2:] for module in MODULES}  # the disk is warm now
    for _ in range(ROUNDS):
        for module in MODULES:
            costs[module].append(cpu(module))
    for module, seconds in costs.items():
        print(f"import {module:20} {1e3 * statistics.median(seconds):6.1f} ms")
    pairs = zip(costs["siliconflow_voice"], costs["aiohttp"], strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"{ratio:.2f} x   asked for: at most {ASKED} x{'' if ratio <= ASKED else '   short'}")


if __name__ == "__main__":
    main()
