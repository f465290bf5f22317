"""The command ``serve``: the emulator, with the options of ``python -m siliconflow_voice.emulator``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

__all__ = ["serve"]

# Its own --help is the emulator's, which has a parser of its own: it must run without this command's extra.
serve = App(
    name="serve",
    help="Run an emulator of the API on this machine, with quotas and faults, to try things without a key.",
    help_flags=[],
    version_flags=[],
)


@serve.default
async def run_emulator(*options: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Run the emulator until a signal ends it.

    Parameters
    ----------
    options
        See --help.
    """
    from siliconflow_voice.emulator.__main__ import run  # noqa: PLC0415 - a web server, which no other needs

    return await run(options, "siliconflow-voice serve")
