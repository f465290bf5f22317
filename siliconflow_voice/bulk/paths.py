"""Where a manifest's recordings are: in its folder, however the slashes and accents in them are written."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from siliconflow_voice.audio.files import PathReading
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import PathSource
from siliconflow_voice.errors import InvalidUploadError

__all__ = ["ListedSource"]


class ListedSource(PathSource):
    """The file that a row names.

    Args:
        name: As the row has it.
        root: The folder that it is relative to.
        confined: Whether it must be in that folder.
    """

    def __init__(self, name: str, root: Path, *, confined: bool) -> None:
        path = str(root / name)
        super().__init__(path, filename=path, content_type=None)
        self._listed = name, root, confined

    def __eq__(self, other: object) -> bool:
        return self._listed == other._listed if isinstance(other, ListedSource) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._listed)

    def reading(self, pool: ReadPool) -> Reading:
        return _ListedReading(*self._listed, pool)


class _ListedReading(PathReading):
    """Looks where a path leads each time that it is opened, and opens no other place than that."""

    def __init__(self, name: str, root: Path, confined: bool, pool: ReadPool) -> None:  # noqa: FBT001 - of a row
        path = str(root / name)
        super().__init__(path, path, None, pool)
        self._listed = name
        self._root = root
        self._confined = confined

    def _open(self) -> int:
        written = str(self._root / _encodable(self._listed))
        try:
            return self._open_at(written)
        except FileNotFoundError:
            there = _as_on_disk(self._listed, self._root)
            if there == written:
                raise
            return self._open_at(there)

    def _open_at(self, path: str) -> int:
        self._path = path
        if self._confined:
            self._path = os.path.realpath(path)
            # Before it is looked for: whether a file exists outside is not for whoever wrote the manifest.
            if not Path(self._path).is_relative_to(os.path.realpath(self._root)):
                raise InvalidUploadError(
                    "audio", f"{self._name} leads out of the folder {self._root}; allow_outside permits that"
                )
        return super()._open()


def _as_on_disk(name: str, root: Path) -> str:
    """Return a path with slashes for backslashes, and each of its names in the normal form that exists.

    Macs write accents, kana and Hangul in parts (NFD), most other systems write them as one (NFC).
    """
    path = root
    for part in Path(name.replace("\\", "/")).parts:
        spellings = [part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part)]
        encodable = [_encodable(spelling) for spelling in spellings]
        path /= next((name for name in encodable if os.path.lexists(path / name)), encodable[0])
    return str(path)


def _encodable(name: str) -> str:
    """Return a name that can be opened: on the disk it is in UTF-8, whatever the locale's encoding is."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8", "surrogatepass"))
    return name
