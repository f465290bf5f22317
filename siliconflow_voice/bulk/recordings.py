"""Where the recordings of a manifest may be: in a folder, and at addresses that are allowed."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import frozen

from siliconflow_voice.audio.remote.policy import RemoteAudio
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.bulk.paths import ListedSource
from siliconflow_voice.errors import InvalidUploadError

__all__ = ["Recordings"]

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_DATA = re.compile("data:", re.IGNORECASE)
_SAVE_IT = "download it first, and put the path of the file here"


@frozen
class Recordings:
    """Where recordings may be."""

    root: Path
    """The folder that paths are relative to."""
    allow_outside: bool
    """Whether they may lead out of it."""
    remote: RemoteAudio | None
    """The addresses that are allowed; None for none."""

    def named(self, name: str) -> AudioSource:
        """Return the recording that a row names.

        Raises:
            InvalidUploadError: Of ``audio``: it is not a path, and not an address that is allowed.
        """
        if not name:
            raise InvalidUploadError("audio", "is empty; it must be the path of a recording", rule="empty")
        if _DATA.match(name):
            raise InvalidUploadError("audio", f"is a URL: {_SAVE_IT}", rule="address")
        if not _URL.match(name):
            return ListedSource(name, self.root, confined=not self.allow_outside)
        if self.remote is None:
            reason = f"is a URL: allow its host with --allow-host or Manifest(remote=…), or {_SAVE_IT}"
            raise InvalidUploadError("audio", reason, rule="host")
        return AudioSource.url(name, remote=self.remote)
