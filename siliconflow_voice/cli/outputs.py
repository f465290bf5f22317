"""The tables that a run writes: every outcome, and the failed rows as a manifest to run again."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from attrs import frozen

from siliconflow_voice.bulk.listed import ManifestUpload
from siliconflow_voice.bulk.outcomes import (
    FAILURE_COLUMNS,
    MANIFEST_COLUMNS,
    RESULT_COLUMNS,
    as_failure,
    failure_columns,
    row_of,
)
from siliconflow_voice.bulk.tables import TableWriter, is_table_of, table_format
from siliconflow_voice.cli.terminal import shortened
from siliconflow_voice.cli.wording import in_options
from siliconflow_voice.errors import ConfigurationError, SiliconFlowError
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["FailedRow", "Outputs", "as_row"]

# So many failures are kept for the report.
_SAMPLE = 200


def as_row(outcome: UploadOutcome) -> dict[str, Any]:
    """Return the outcome of a manifest's row as the cells of a table, the error in the command's words."""
    row = row_of(outcome)
    return {**row, "error": row["error"] and in_options(row["error"])}


@frozen
class FailedRow:
    """A failure, shortened and escaped to be shown."""

    line: int
    custom_name: str
    audio: str
    error: str

    @classmethod
    def of(cls, outcome: UploadOutcome) -> FailedRow:
        """Return the failed row of an outcome."""
        row = as_row(outcome)
        return cls(
            row["line"],
            shortened(row["custom_name"], 80),
            shortened(row["audio"], 200),
            shortened(str(row["error"])),
        )


class Outputs:
    """The results and failures of a run.

    A table is begun with its first row, and takes its name when the run ends: a run that comes to nothing,
    because the key is wrong or another run has the journal, leaves those of the run before as they are.

    Args:
        results: The file for all outcomes, or None for none.
        failures: The file for the failures.
        columns: The manifest's columns: its own are in the failures too, as they were.

    Raises:
        ConfigurationError: *results* ends with neither ``.csv`` nor ``.jsonl``.
    """

    def __init__(self, *, results: Path | None, failures: Path, columns: Sequence[str] = ()) -> None:
        self.sample: list[FailedRow] = []
        """The first failures."""
        self.error: SiliconFlowError | None = None
        """What went wrong first."""
        self._results = None if results is None else _results_to(results)
        self._failures = TableWriter(failures, failure_columns(columns), "csv", faithful=True)

    @property
    def failures(self) -> Path | None:
        """The manifest of the failures, once it is finished; None if there are none."""
        return self._failures.path if self._failures.committed else None

    def write(self, outcome: UploadOutcome) -> None:
        """Add an outcome to the tables that it belongs to.

        Raises:
            SiliconFlowError: A file can't be written.
        """
        row = as_row(outcome)
        if self._results is not None:
            self._add(self._results, row)
        if outcome.status == "failed":
            if len(self.sample) < _SAMPLE:
                self.sample.append(FailedRow.of(outcome))
            cells = cast("ManifestUpload", outcome.upload).cells
            self._add(self._failures, as_failure(cells, row))

    def close(self, *, complete: bool) -> None:
        """Finish the tables; what goes wrong is in :attr:`error`.

        Args:
            complete: Whether every row has its outcome. Then a table of results replaces an earlier one even
                if it is empty, and if no row has failed, an earlier run's failures are removed.
        """
        for table in (self._results, self._failures):
            if table is not None and (table.begun or (complete and table is self._results)):
                with self._writing(table):
                    table.commit()
        if complete and not self._failures.committed:
            with self._writing(self._failures):
                if is_table_of(self._failures.path, first=MANIFEST_COLUMNS, last=FAILURE_COLUMNS):
                    self._failures.path.unlink()

    def _add(self, table: TableWriter, row: dict[str, Any]) -> None:
        with self._writing(table):
            table.write([row])
        if self.error is not None:
            raise self.error

    @contextmanager
    def _writing(self, table: TableWriter) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            table.discard()
            self.error = self.error or SiliconFlowError(
                f"{table.path} can't be written: {error.strerror or error}"
            )


def _results_to(path: Path) -> TableWriter:
    chosen = table_format(path.suffix.removeprefix(".").lower())
    if chosen is None:
        raise ConfigurationError(f"--results must name a .csv or .jsonl file, got {path.name}")
    return TableWriter(path, RESULT_COLUMNS, chosen)
