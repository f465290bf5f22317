"""What a run leaves behind in files: all outcomes, and the failures as a manifest to run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, cast

from attrs import frozen

from siliconflow_voice.bulk.manifest import ManifestUpload
from siliconflow_voice.cli.sheets import Sheet, Table
from siliconflow_voice.cli.words import brief
from siliconflow_voice.errors import APIStatusError, ConfigurationError
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["FailedRow", "Outputs", "as_row"]

_COLUMNS = [
    *("line", "audio", "custom_name", "text", "model"),
    *("status", "uri", "error", "attempts", "trace_id", "bytes"),
]
_MANIFEST = ["audio", "custom_name", "text", "model", "encoding"]
# So many failures are kept for the report.
_SAMPLE = 200


def as_row(outcome: UploadOutcome) -> dict[str, Any]:
    """Put the outcome of a manifest's row into words and numbers."""
    upload, voice, error = cast("ManifestUpload", outcome.upload), outcome.voice, outcome.error
    trace_id = error.trace_id if isinstance(error, APIStatusError) else None
    return {
        "line": upload.line,
        "audio": upload.cells.get("audio", ""),
        "custom_name": upload.custom_name,
        "text": upload.text,
        "model": upload.model,
        "status": outcome.status,
        "uri": voice.uri if voice is not None else None,
        "error": str(error) if error is not None else None,
        "attempts": sum(len(source.attempts) for source in (voice, error) if source is not None),
        "trace_id": voice.trace_id if voice is not None else trace_id,
        "bytes": outcome.size,
    }


@frozen
class FailedRow:
    """A failure as it is shown: in brief, and harmlessly."""

    line: int
    custom_name: str
    audio: str
    error: str

    @classmethod
    def of(cls, outcome: UploadOutcome) -> FailedRow:
        """Sum up a failure."""
        row = as_row(outcome)
        return cls(
            row["line"],
            brief(row["custom_name"], 80),
            brief(row["audio"], 200),
            brief(str(row["error"])),
        )


class Outputs:
    """The files of a run; a context manager.

    Each is begun with the first outcome that belongs there: a run that comes to nothing, because the key is
    wrong or another run has the journal, leaves as they are those of the run before.

    Args:
        results: Where all outcomes go, or None for nowhere.
        failures: Where the failures go.

    Raises:
        ConfigurationError: *results* ends with neither ``.csv`` nor ``.jsonl``.
    """

    def __init__(self, *, results: Path | None, failures: Path) -> None:
        self.sample: list[FailedRow] = []
        """The first failures."""
        self._results = None if results is None else _results_to(results)
        self._failures = Table(failures, [*_MANIFEST, "line", "error"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._failures.close()
        if self._results is not None:
            self._results.close()

    @property
    def failures(self) -> Path | None:
        """The manifest of the failures, or None if there are none."""
        return self._failures.path if self._failures.begun else None

    def write(self, outcome: UploadOutcome) -> None:
        """Write an outcome where it belongs.

        Raises:
            SiliconFlowError: A file can't be written.
        """
        row = as_row(outcome)
        if self._results is not None:
            self._results.add(row)
        if outcome.status == "failed":
            # As the row was written, an empty model for the default included.
            cells = cast("ManifestUpload", outcome.upload).cells
            self._failures.add({**cells, "line": row["line"], "error": row["error"]})
            if len(self.sample) < _SAMPLE:
                self.sample.append(FailedRow.of(outcome))

    def complete(self) -> None:
        """Say that each row has its outcome: if none has failed, an earlier run's failures are past.

        Raises:
            SiliconFlowError: A file can't be written.
        """
        if self._results is not None:
            self._results.begin()
        if not self._failures.begun:
            self._failures.remove()


def _results_to(path: Path) -> Sheet:
    match path.suffix.lower():
        case ".csv":
            return Table(path, _COLUMNS)
        case ".jsonl":
            return Sheet(path)
        case _:
            raise ConfigurationError(f"--results takes a file that ends in .csv or .jsonl, not {path.name}")
