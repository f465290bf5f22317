"""How a run ended, and what the command's exit status says of it."""

from __future__ import annotations

from signal import Signals

from attrs import frozen

from siliconflow_voice.errors import JournalError

__all__ = ["ALL_DONE", "BAD_USAGE", "BY_SIGNAL", "SOME_FAILED", "STOPPED", "Ending"]

ALL_DONE, SOME_FAILED, BAD_USAGE, STOPPED = 0, 1, 2, 3
# As shells have it: 130 for SIGINT, 143 for SIGTERM.
BY_SIGNAL = 128


@frozen
class Ending:
    """How a run ended."""

    status: int
    """The exit status."""
    reason: str | None = None
    """What ended it before all was done."""
    resumable: bool = True
    """Whether the same command goes on from there, as far as is known: not after the journal has failed."""

    @classmethod
    def of(cls, *, failed: int, stopped_by: Exception | None, signal: int | None) -> Ending:
        """Say how it ended.

        Args:
            failed: Uploads that failed.
            stopped_by: What the others would have met too, or what kept the run from telling of them.
            signal: The number of the signal that interrupted it.
        """
        if signal is not None:
            return cls(BY_SIGNAL + signal, f"interrupted by {Signals(signal).name}")
        if stopped_by is not None:
            reason = " ".join([str(stopped_by), *getattr(stopped_by, "__notes__", [])])
            return cls(STOPPED, reason, resumable=not isinstance(stopped_by, JournalError))
        return cls(SOME_FAILED if failed else ALL_DONE)
