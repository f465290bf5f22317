"""What the emulator remembers, for a test to look at: the voices it stored and the requests it met."""

from __future__ import annotations

from typing import Literal

from attrs import define, frozen

__all__ = ["Endpoint", "RequestRecord", "StoredVoice"]

Endpoint = Literal["upload", "list", "delete", "unknown"]


@frozen
class StoredVoice:
    """A voice that was stored. The audio itself is not kept, so that any number of them fits in memory."""

    uri: str
    model: str
    custom_name: str
    text: str
    sha256: str
    """Of the audio's bytes, in hex: equal to the source's if it arrived whole."""
    size: int
    """Bytes of audio."""


@define
class RequestRecord:
    """A request, noted when it arrived and completed when its answer was decided."""

    at: float
    """When it arrived: seconds of the running loop's clock."""
    endpoint: Endpoint
    status: int | None = None
    """The HTTP status that was answered; None if no answer was given (yet)."""
    code: int | None = None
    """SiliconFlow's code in the answer, if it had one."""

    @property
    def refused(self) -> bool:
        """Whether it was told to slow down: 429, by the quota or a fault, or 503."""
        return self.status in {429, 503}
