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
    same row. Where the cells can't be told apart, the whole row is under ``audio``, where it never becomes a
    good one. A value that can't be written as text is left out."""


class Refused(AudioSource):
    """The audio of a row that is wrong: it can't be read, and its error is the row's.

    Args:
        where: The row, for messages.
        problems: What is wrong with it: of one column each, or of the row as a whole.
    """

    def __init__(self, where: str, problems: list[UploadProblem]) -> None:
        super().__init__(filename=where, content_type=None)
        self.problems = problems

    def reading(self, pool: ReadPool) -> Reading:  # noqa: ARG002 - there is nothing to read
        problem = self.problems[0]
        if problem.field:
            raise InvalidUploadError(problem.field, problem.reason, rule=problem.rule)
        raise InvalidUploadError("manifest", f"{self.filename} {problem.reason}", rule=problem.rule)
