"""What a run came to: a few lines for people, an object for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen
from rich.console import Console

from siliconflow_voice.cli.exits import Exit
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.stats import ATTEMPTS, STATUSES, Stats
from siliconflow_voice.cli.terminal import escaped, format_bytes, format_duration, shortened
from siliconflow_voice.uploads.values import Status

__all__ = ["Summary", "print_summary"]

_EXPLAINED: dict[Status, str] = {
    "uploaded": "uploaded",
    "recovered": "recovered (the answer was lost; the voice was found in the account's list)",
    "skipped": "skipped (the journal has the voice)",
    "failed": "failed",
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
    """With which options these are run again."""
    exit: Exit
    stats: Stats

    @property
    def left(self) -> int:
        """Rows without an outcome."""
        return max(0, self.stats.total - self.stats.done)

    def as_json(self) -> dict[str, Any]:
        """Return it as a document."""
        stats = self.stats
        return {
            "exit_status": self.exit.status,
            "reason": self.exit.reason,
            "rows": stats.total,
            **{status: stats.statuses[status] for status in STATUSES},
            "left": self.left,
            "attempts": {kind: stats.attempts[kind] for kind in ATTEMPTS},
            "bytes": stats.sent_bytes,
            "seconds": round(stats.seconds, 3),
            "journal": str(self.journal),
            "failures": None if self.failures is None else str(self.failures),
        }


def print_summary(console: Console, summary: Summary) -> None:
    """Print it, and what to do next."""
    stats = summary.stats

    def line(number: str, words: str, style: str = "") -> None:
        console.print(f"{number:>9}  {words}", style=style, soft_wrap=True)

    for status, style in STATUSES.items():
        count = stats.statuses[status]
        line(f"{count:,}", translated(_EXPLAINED[status]), style if count else "dim")
    if summary.left:
        line(f"{summary.left:,}", translated("left"), "yellow")
    attempts = ", ".join(
        f"{stats.attempts[kind]:,} {translated(label)}"
        for kind, label in ATTEMPTS.items()
        if stats.attempts[kind]
    )
    line(
        f"{stats.attempts.total():,}",
        translated("attempts: {attempts}" if attempts else "attempts", attempts=attempts),
    )
    line(
        format_duration(stats.seconds),
        translated("elapsed, {size} of audio uploaded", size=format_bytes(stats.sent_bytes)),
    )
    for advice, style in _advice(summary):
        console.print(advice, style=style, soft_wrap=True)


def _advice(summary: Summary) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    if summary.failures is not None:
        advice = translated(
            "To retry failed rows, correct this manifest and run it {how}: {file}",
            how=summary.again,
            file=summary.failures,
        )
        lines.append((escaped(advice), ""))
    if summary.exit.reason is not None:
        lines.append((translated("Stopped early: {reason}", reason=shortened(summary.exit.reason)), "red"))
        if summary.exit.resumable:
            lines.append((translated("To continue from here, run the same command again."), ""))
    lines.append((translated("Journal: {file}", file=escaped(str(summary.journal))), "dim"))
    return lines
