"""The values of bulk runs: what is to be uploaded, and its outcome."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

from attrs import field, frozen

from siliconflow_voice.api.requests import DEFAULT_MODEL, Encoding
from siliconflow_voice.audio.source import Audio, AudioSource
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Voice

__all__ = ["DEFAULT_MODEL", "Status", "UploadOutcome", "VoiceUpload"]

Status: TypeAlias = Literal["uploaded", "recovered", "skipped", "failed"]


def _brief(audio: Audio) -> str:
    """Return the repr of a path or a source, and of anything else only its type: bytes can be millions."""
    match audio:
        case str() | AudioSource():
            return repr(audio)
        case os.PathLike():
            return repr(os.fspath(audio))
        case _:
            return f"<{type(audio).__name__}>"


@frozen
class VoiceUpload:
    """One item of a bulk run; its fields are the arguments of :meth:`VoiceClient.upload_voice`."""

    audio: Audio = field(repr=_brief)
    custom_name: str
    text: str
    model: str = DEFAULT_MODEL
    encoding: Encoding = "multipart"


@frozen
class UploadOutcome:
    """The outcome of one item of a bulk run."""

    index: int
    """The item's place among the uploads, counted from 0."""
    upload: VoiceUpload
    status: Status
    """``uploaded``; ``recovered``: the answer was lost, and the voice was found in the account's list;
    ``skipped``: the journal has its voice from an earlier run; or ``failed``."""
    voice: Voice | None = None
    """The voice, unless it failed."""
    error: SiliconFlowError | None = None
    """Why it failed."""
    size: int | None = field(default=None, eq=False)
    """Bytes of the audio, where they are known."""
