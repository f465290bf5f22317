"""What a row of a manifest becomes: an upload, right or wrong."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.errors import InvalidUploadError
from siliconflow_voice.uploads.checking import UploadProblem
from siliconflow_voice.uploads.values import VoiceUpload

__all__ = ["ManifestUpload", "Refused"]


@frozen
class ManifestUpload(VoiceUpload):
    """An upload as a row of a manifest has it, right or wrong."""

    line: int = field(kw_only=True)
    """On which its row begins, counted from 1."""
    cells: Mapping[str, str] = field(kw_only=True, eq=False, repr=False)
    """The row as it was written, by column, other columns included: written to another manifest, it is the
    same row, right or wrong. Under an empty name is what has no column, or is not text where text is needed:
    in a column without a name, it never becomes a part of a good row. A row that can't be divided into cells
    is under ``audio`` as a whole."""


class Refused(AudioSource):
    """The audio of a row that is wrong: it can't be read, and its error is the row's.

    Args:
        where: The row, for messages.
        problems: What is wrong with it: of one column each, or of the row as a whole.
    """

    def __init__(self, where: str, problems: list[UploadProblem]) -> None:
        super().__init__(filename=where, content_type=None)
        self.problems = problems

    def error(self) -> InvalidUploadError:
        """Return the row's error."""
        problem = self.problems[0]
        if problem.field:
            return InvalidUploadError(problem.field, problem.reason, rule=problem.rule)
        return InvalidUploadError("manifest", f"{self.filename} {problem.reason}", rule=problem.rule)

    def reading(self, pool: ReadPool) -> Reading:  # noqa: ARG002 - there is nothing to read
        raise self.error()
