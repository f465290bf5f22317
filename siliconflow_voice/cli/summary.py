"""What a run came to: a table for people, an object for machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen
from rich.console import Console

from siliconflow_voice.cli.endings import Ending
from siliconflow_voice.cli.tally import KINDS, STYLES, Kind, Tally
from siliconflow_voice.cli.words import amount, brief, clock, harmless
from siliconflow_voice.uploads.values import Status

__all__ = ["Summary", "print_summary"]

_EXPLAINED: dict[Status, str] = {
    "uploaded": "uploaded",
    "recovered": "recovered: the answer was lost, and the voice found in the account's list",
    "skipped": "skipped: the journal has their voices",
    "failed": "failed",
}
_WORDS: dict[Kind, str] = {
    "accepted": "accepted",
    "limited": "refused for the rate limit (429)",
    "overloaded": "refused for overload (503)",
    "lost": "without an answer",
    "refused": "answered with another error",
}


@frozen
class Summary:
    """A run that has ended."""

    manifest: Path
    address: str
    journal: Path
    failures: Path | None
    """The failures as a manifest, or None if there are none."""
    again: str
    """With what options these are run again."""
    ending: Ending
    tally: Tally

    @property
    def left(self) -> int:
        """Rows without an outcome."""
        return max(0, self.tally.total - self.tally.done)

    def as_json(self) -> dict[str, Any]:
        """Give it as a document."""
        tally = self.tally
        return {
            "event": "summary",
            "exit_status": self.ending.status,
            "reason": self.ending.reason,
            "rows": tally.total,
            **{status: tally.statuses[status] for status in STYLES},
            "left": self.left,
            "attempts": {kind: tally.attempts[kind] for kind in KINDS},
            "bytes": tally.sent_bytes,
            "seconds": round(tally.seconds, 3),
            "journal": str(self.journal),
            "failures": None if self.failures is None else str(self.failures),
        }


def print_summary(console: Console, summary: Summary) -> None:
    """Print it, and what to do next."""
    tally = summary.tally

    def line(number: str, words: str, style: str = "") -> None:
        console.print(f"{number:>9}  {words}", style=style, soft_wrap=True)

    for status, style in STYLES.items():
        count = tally.statuses[status]
        line(f"{count:,}", _EXPLAINED[status], style if count else "dim")
    if summary.left:
        line(f"{summary.left:,}", "left", "yellow")
    attempts = ", ".join(f"{tally.attempts[kind]:,} {_WORDS[kind]}" for kind in KINDS if tally.attempts[kind])
    line(f"{tally.attempts.total():,}", f"attempts: {attempts}" if attempts else "attempts")
    line(clock(tally.seconds), f"for {amount(tally.sent_bytes)} of audio")
    for advice, style in _advice(summary):
        console.print(advice, style=style, soft_wrap=True)


def _advice(summary: Summary) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    if summary.failures is not None:
        lines.append(
            (harmless(f"The failures are a manifest to run again, {summary.again}: {summary.failures}"), "")
        )
    if summary.ending.reason is not None:
        lines.append((f"Stopped early: {brief(summary.ending.reason)}", "red"))
        if summary.ending.resumable:
            lines.append(("The same command goes on from here.", ""))
    lines.append((f"Journal: {harmless(str(summary.journal))}", "dim"))
    return lines
