"""The terminal's command, ``siliconflow-voice``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    try:
        from siliconflow_voice.cli import app  # noqa: PLC0415 - what it needs is an extra
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in {"cyclopts", "rich"}:
            raise
        sys.stderr.write(
            f"siliconflow-voice needs {error.name}; run: python -m pip install 'siliconflow-voice[cli]'\n"
        )
        return 2
    return app.run(sys.argv[1:] if arguments is None else arguments)
