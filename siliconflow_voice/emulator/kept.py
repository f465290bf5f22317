"""The recordings that are kept to be listened to, within a bound."""

from __future__ import annotations

from attrs import define, field

__all__ = ["KeptRecordings"]


@define
class KeptRecordings:
    """The latest recordings by their digest; the oldest are dropped beyond ``most_bytes``."""

    most_bytes: int = 64_000_000
    _recordings: dict[str, bytes] = field(init=False, factory=dict[str, bytes])
    _bytes: int = field(init=False, default=0)

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep a recording, unless it is there already."""
        if sha256 in self._recordings:
            return
        self._recordings[sha256] = data
        self._bytes += len(data)
        while self._bytes > self.most_bytes:
            self._bytes -= len(self._recordings.pop(next(iter(self._recordings))))

    def get(self, sha256: str) -> bytes | None:
        """Return a recording, or None if it is not kept."""
        return self._recordings.get(sha256)
