"""The commands, their arguments, and what their exit statuses mean."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from inspect import iscoroutine
from signal import SIGINT

from cyclopts import App, CycloptsError
from rich.console import Console

from siliconflow_voice.cli.bulk import bulk
from siliconflow_voice.cli.endings import BAD_USAGE, BY_SIGNAL
from siliconflow_voice.cli.streams import complain, open_closed_ones
from siliconflow_voice.version import __version__

__all__ = ["app", "run"]

app = App(
    name="siliconflow-voice",
    help="Upload reference voices to SiliconFlow.",
    version=__version__,
    help_format="markdown",
)
app.command(bulk)


def run(arguments: Sequence[str]) -> int:
    """Run a command to its end, and give its exit status: 2 for arguments of no use, 130 if interrupted."""
    open_closed_ones()
    try:
        command, bound, _ = app.parse_args(
            list(arguments), exit_on_error=False, print_error=True, error_console=Console(stderr=True)
        )
    except CycloptsError:
        return BAD_USAGE
    try:
        result = command(*bound.args, **bound.kwargs)
        if iscoroutine(result):
            result = asyncio.run(result)
    except KeyboardInterrupt:
        complain("interrupted")
        return BY_SIGNAL + SIGINT
    return result if isinstance(result, int) else 0
