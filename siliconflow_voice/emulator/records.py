"""What the emulator records for a test to inspect: the voices it stored and the requests it received."""

from __future__ import annotations

from typing import Literal

from attrs import define, frozen

__all__ = ["Endpoint", "RequestRecord", "StoredVoice"]

Endpoint = Literal["upload", "list", "delete", "speech", "transcribe", "models", "unknown"]


@frozen
class StoredVoice:
    """A stored voice. The audio is no part of it, so that any number of voices fits in memory."""

    uri: str
    model: str
    custom_name: str
    text: str
    sha256: str
    """SHA-256 of the audio's bytes, in hex: equal to the source's if it arrived whole."""
    size: int
    """Bytes of audio."""


@define
class RequestRecord:
    """A request, recorded when it arrived and completed when its answer was decided."""

    at: float
    """When it arrived, in seconds of the running loop's clock."""
    endpoint: Endpoint
    status: int | None = None
    """The HTTP status of the answer; None if there was no answer (yet)."""
    code: int | None = None
    """SiliconFlow's code in the answer, if it had one."""

    refused: bool = False
    """Whether it was throttled: 429 or 503, or a 403 that names the limit as the quota's does."""
