"""The outcomes of a manifest's rows as the cells of tables: of all results, and of the failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from siliconflow_voice.audio.wording import without_secrets
from siliconflow_voice.bulk.listed import ManifestUpload
from siliconflow_voice.bulk.rows import NEEDED, OPTIONAL
from siliconflow_voice.errors import APIStatusError
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = [
    "FAILURE_COLUMNS",
    "MANIFEST_COLUMNS",
    "RESULT_COLUMNS",
    "as_failure",
    "failure_columns",
    "row_of",
]

RESULT_COLUMNS = [
    *("line", "audio", "custom_name", "text", "model"),
    *("status", "uri", "error", "attempts", "trace_id", "bytes"),
]
MANIFEST_COLUMNS = [*NEEDED, *OPTIONAL]
FAILURE_COLUMNS = ["failed_line", "failed_error"]
"""Not ``line`` and ``error``: a manifest may well have such columns of its own."""


def failure_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns of a table of failures: a manifest's, its own ones included, and the errors'."""
    own = [name for name in columns if name not in {*MANIFEST_COLUMNS, *FAILURE_COLUMNS}]
    return [*MANIFEST_COLUMNS, *own, *FAILURE_COLUMNS]


def row_of(outcome: UploadOutcome) -> dict[str, Any]:
    """Return the outcome of a manifest's row as the cells of a table."""
    upload, voice, error = cast("ManifestUpload", outcome.upload), outcome.voice, outcome.error
    trace_id = error.trace_id if isinstance(error, APIStatusError) else None
    return {
        "line": upload.line,
        "audio": without_secrets(upload.cells.get("audio", "")),
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


def as_failure(cells: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of a failure.

    Args:
        cells: The row as it was written, an empty model for the default included.
        row: Its result.
    """
    return {**cells, "failed_line": row["line"], "failed_error": row["error"]}
