"""Rows of manifests, and what became of them, in the form in which the fleet's tables keep them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attrs import frozen

from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.audio.wording import without_secrets
from siliconflow_voice.bulk import outcomes
from siliconflow_voice.bulk.lines import trim
from siliconflow_voice.bulk.listed import ManifestUpload, Refused
from siliconflow_voice.bulk.recordings import Recordings
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError
from siliconflow_voice.uploads.checking import UploadProblem
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["Result", "Results", "Root", "as_json", "counted", "refused", "result_of", "row_of", "table_row"]

Row: TypeAlias = "dict[str, Any]"
Result: TypeAlias = "dict[str, Any]"
"""The cells of a result that are not its row's."""
Results: TypeAlias = "dict[str, Result]"
"""Of a chunk, by a row's place in it, counted from 0."""


@frozen
class Root:
    """Where a submission's recordings are on this machine."""

    recordings: Recordings
    submitted: Path
    """The folder that paths were relative to where they were submitted."""

    def upload(self, row: Row) -> ManifestUpload:
        """Return the upload that a row describes."""
        return ManifestUpload(
            self._audio(row),
            row["custom_name"],
            row["text"],
            row["model"],
            row["encoding"],
            line=row["line"],
            cells=row["cells"],
        )

    def _audio(self, row: Row) -> AudioSource:
        name = trim(row["cells"]["audio"])
        if self.recordings.root != self.submitted and Path(name).is_relative_to(self.submitted):
            name = os.fspath(Path(name).relative_to(self.submitted))
        try:
            return self.recordings.named(name)
        except InvalidUploadError as error:  # such as an address that is not allowed on this machine
            return Refused("", [UploadProblem("audio", error.rule, error.reason, row["line"])])


def as_json(value: object) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def row_of(upload: ManifestUpload) -> Row:
    """Return a row to be stored."""
    return {
        "line": upload.line,
        "custom_name": upload.custom_name,
        "text": upload.text,
        "model": upload.model,
        "encoding": upload.encoding,
        "cells": dict(upload.cells),
    }


def refused(upload: ManifestUpload) -> Result | None:
    """Return the result of a row that is wrong, or None."""
    if not isinstance(upload.audio, Refused):
        return None
    return _result(UploadOutcome(0, upload, "failed", None, upload.audio.error()))


def result_of(outcome: UploadOutcome, machine: str) -> Result:
    """Return a result to be stored; an error of the machine's own names that."""
    result = _result(outcome)
    if isinstance(outcome.error, AudioSourceError):
        result["error"] += (
            f" It was looked for on {machine}: see that all workers have the recordings, and pass --root "
            f"where they are in another folder."
        )
    return result


def _result(outcome: UploadOutcome) -> Result:
    row = outcomes.row_of(outcome)
    return {name: row[name] for name in ("status", "uri", "error", "attempts", "trace_id", "bytes")}


def table_row(row: Row, result: Result) -> dict[str, Any]:
    """Return a row and its result as the cells of a table of results."""
    cells: Mapping[str, str] = row["cells"]
    own = {name: row[name] for name in ("line", "custom_name", "text", "model")}
    return {"line": own.pop("line"), "audio": without_secrets(cells.get("audio", "")), **own, **result}


def counted(results: Results) -> tuple[int, int]:
    """Return how many have their voice, and how many failed."""
    failed = sum(result["status"] == "failed" for result in results.values())
    return len(results) - failed, failed
