"""Check the emulator against docs/openapi.yaml: ``python -m nox -s contract``."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from siliconflow_voice.emulator import Emulator

_FOLDER = Path(__file__).resolve().parent
_DESCRIPTION = _FOLDER.parents[1] / "docs" / "openapi.yaml"


async def check(*options: str) -> int:
    """Run schemathesis against an emulator; return its exit status, 0 if nothing failed."""
    configured = ["--config-file", str(_FOLDER / "schemathesis.toml")]
    with tempfile.TemporaryDirectory() as folder:
        async with Emulator() as emulator:
            run = ["run", str(_DESCRIPTION), "--url", emulator.base_url, "--no-color", *options]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "schemathesis.cli", *configured, *run),
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(_FOLDER.parent), *sys.path]),
                },  # for the hooks
            )
            return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(check("--max-examples", "12", *sys.argv[1:])))
