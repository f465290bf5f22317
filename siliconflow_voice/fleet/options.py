"""What a worker is told: how fast, where recordings are, and with which client."""

from __future__ import annotations

import os
from collections.abc import Callable

from attrs import field, frozen

from siliconflow_voice.audio.remote.policy import RemoteAudio
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.uploads.values import UploadOutcome
from siliconflow_voice.validation import at_least_one, at_least_one_or_none, positive

__all__ = ["WorkerOptions"]


def _client(throttle: Throttle) -> VoiceClient:
    return VoiceClient(throttle=throttle)


@frozen(kw_only=True)
class WorkerOptions:
    """How a worker works. All workers of a fleet should have the same limits.

    Raises:
        ConfigurationError: A number is out of its range.
    """

    client: Callable[[Throttle], VoiceClient] = field(default=_client, repr=False)
    """Makes the process's client, on the throttle that it is passed."""
    concurrency: int = field(default=16, validator=at_least_one)
    """Most requests in flight at once, of all workers together."""
    requests_per_minute: int | None = field(default=None, validator=at_least_one_or_none)
    """The account's limit, never exceeded; None to learn it."""
    tokens_per_minute: int | None = field(default=None, validator=at_least_one_or_none)
    """The account's token limit, never exceeded; None to learn it."""
    window: float = field(default=60.0, validator=positive)
    """Seconds: the vendor's minute, to be scaled down in tests."""
    root: str | os.PathLike[str] | None = None
    """The folder that recordings are in on this machine, instead of the one where they were submitted;
    nothing outside of it is read, whatever was submitted."""
    remote: RemoteAudio | None = None
    """The addresses that recordings may be fetched from; None for none. Whoever submits can't allow any."""
    settle: float = 10.0
    """Seconds after a dead worker's end until an upload of it that the voice list lacks is sent again."""
    lease: float = field(default=30.0, validator=positive)
    """Seconds without a heartbeat after which a worker is taken to be dead, and its work done by others."""
    patience: float = field(default=60.0, validator=positive)
    """Seconds for which a database that is away is waited for, with nothing sent meanwhile."""
    on_outcome: Callable[[UploadOutcome], object] | None = field(default=None, repr=False)
    """Called with each outcome of this worker."""
