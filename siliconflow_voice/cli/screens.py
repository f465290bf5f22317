"""What every screen has: it is told outcomes and how it stands, and shows the first failures."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from attrs import define
from rich.console import Console
from rich.text import Text

from siliconflow_voice.cli.gates import Gates
from siliconflow_voice.cli.outputs import FailedRow
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["Failures", "Screen"]

_SHOWN = 20


class Screen(Protocol):
    """What shows a run."""

    def outcome(self, outcome: UploadOutcome) -> None:
        """Show an outcome."""

    def refresh(self, gates: Gates) -> None:
        """Show how it stands; called some times a second."""

    def showing(self) -> AbstractContextManager[None]:
        """Hold the screen."""
        ...


@define
class Failures:
    """Prints which rows failed, and why, up to the 20th."""

    console: Console
    _count: int = 0

    def show(self, outcome: UploadOutcome) -> None:
        """Print it, if it is a failure, and one of the first."""
        if outcome.error is None:
            return
        self._count += 1
        if self._count <= _SHOWN:
            row = FailedRow.of(outcome)
            line = Text.assemble((f"line {row.line} ", "bold"), f"{row.custom_name}: ", (row.error, "red"))
            self.console.print(line, soft_wrap=True)
        elif self._count == _SHOWN + 1:
            self.console.print(
                "Further failures are only counted here: the file of failures has all.", style="dim"
            )
