"""The command's entry: finds the subcommand, runs it, and turns its errors into exit statuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from inspect import iscoroutine
from signal import SIGINT

from cyclopts import App, CycloptsError, Group, UnusedCliTokensError

from siliconflow_voice.cli.bulk import bulk
from siliconflow_voice.cli.exits import BAD_USAGE, BY_SIGNAL, STOPPED
from siliconflow_voice.cli.inspect import inspect
from siliconflow_voice.cli.journal import journal
from siliconflow_voice.cli.prepare import prepare
from siliconflow_voice.cli.serve import serve
from siliconflow_voice.cli.terminal import open_closed_streams, print_error
from siliconflow_voice.cli.wording import in_options
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError, SiliconFlowError
from siliconflow_voice.version import __version__

__all__ = ["app", "execute", "run"]

_FLEET = """Upload from many machines: submit manifests, and work on them.

One PostgreSQL database has the queue, the journal and the shared quota. Set SILICONFLOW_DATABASE_URL to its
URL, such as postgresql://user@host/database, and keep the password in PGPASSWORD or ~/.pgpass.
"""

app = App(
    name="siliconflow-voice",
    help="Upload reference voices to SiliconFlow.",
    version=__version__,
    help_format="markdown",
    group_parameters=Group("Options", sort_key=5),
)
app["--help"].help = "Show this help and exit."
app["--version"].help = "Show the version and exit."
app.command(bulk)
app.command(inspect)
app.command(journal)
app.command("siliconflow_voice.cli.fleet:fleet", name="fleet", help=_FLEET)  # imported when it is used
app.command(prepare)
app.command(serve)


def run(arguments: Sequence[str]) -> int:
    """Run a command in an event loop of its own, and return its exit status: 130 if it was interrupted."""
    open_closed_streams()
    try:
        return asyncio.run(execute(arguments))
    except KeyboardInterrupt:
        print_error("interrupted")
        return BY_SIGNAL + SIGINT


async def execute(arguments: Sequence[str]) -> int:
    """Run a command, and return its exit status: 2 for invalid arguments or settings, 3 if it can't go on."""
    try:
        command, bound, _ = app.parse_args(list(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print_error(_explained(error))
        return BAD_USAGE
    except ImportError as error:
        if not isinstance(error.__cause__, ModuleNotFoundError):
            raise
        print_error(f"This command needs {error.__cause__.name}: install siliconflow-voice[fleet]")
        return BAD_USAGE
    try:
        result = command(*bound.args, **bound.kwargs)
        if iscoroutine(result):
            result = await result
    except (ConfigurationError, InvalidUploadError) as error:
        print_error(in_options(str(error)))
        return BAD_USAGE
    except SiliconFlowError as error:
        print_error(in_options(str(error)))
        return STOPPED
    return result if isinstance(result, int) else 0


def _explained(error: CycloptsError) -> str:
    """Return what is wrong with the arguments, and where to look."""
    problem = str(error)
    if isinstance(error, UnusedCliTokensError):
        problem = f"Unexpected argument: {' '.join(error.unused_tokens or ())}."
    usage = " ".join(["siliconflow-voice", *(error.command_chain or ()), "--help"])
    return f"{problem} For usage, run: {usage}"
