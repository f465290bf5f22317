"""Fuzzes one target, guided by the branches that its inputs take: ``python -m fuzzing.guided lists folder``.

It needs atheris, and so libFuzzer. What it measures is slowed by that: inputs that were slow or ended in a
foreign error are left in the folder, to be read again without it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["siliconflow_voice", "ijson", "json", "yarl", "ipaddress", "urllib", "zipfile"]
):
    from fuzzing.driver import TOKENS, Watch
    from fuzzing.targets import TARGETS

_LONGEST = 1 << 16


def main() -> None:
    """Fuzz for some seconds, and print the numbers of inputs, of refused ones and of foreign errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument(
        "folder", type=Path, help="what is learned: inputs, which are begun with the next time"
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder: Path = options.folder
    watch = Watch(next(target for target in TARGETS if target.name == options.target))
    for number, seed in enumerate(watch.target.seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    words = folder / "words"
    words.write_text("\n".join('"{}"'.format("".join(f"\\x{byte:02x}" for byte in word)) for word in TOKENS))
    end = time.monotonic() + options.seconds

    def read(data: bytes) -> None:
        watch(data)
        if time.monotonic() < end:
            return
        for number, slow in enumerate([*watch.slow, *watch.foreign]):
            (folder / f"found-{number}").write_bytes(next(part for part in slow if isinstance(part, bytes)))
        sys.stdout.write(f"{watch.inputs} {watch.refused} {len(watch.foreign)}\n")
        sys.stdout.flush()
        os._exit(0)  # libFuzzer has no end but that of the process

    flags = [
        f"-dict={words}",
        f"-seed={options.seed}",
        f"-max_len={_LONGEST}",
        "-rss_limit_mb=0",
        "-timeout=0",
    ]
    atheris.Setup([sys.argv[0], str(folder), *flags, "-verbosity=0"], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
