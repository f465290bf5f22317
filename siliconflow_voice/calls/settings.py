"""A client's settings: one frozen value, from which those of a sibling are derived."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from attrs import field, frozen
from yarl import URL

from siliconflow_voice.audio.checks import AudioLimits
from siliconflow_voice.calls.events import Event
from siliconflow_voice.calls.retry import RetryPolicy
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.transport import origin
from siliconflow_voice.transport.origin import Origin, Secret
from siliconflow_voice.transport.timeouts import Timeouts
from siliconflow_voice.validation import callback, kind

__all__ = ["ClientOptions", "Settings"]


class ClientOptions(TypedDict, total=False):
    """What :meth:`VoiceClient.with_options` changes; each is an argument of :class:`VoiceClient`."""

    api_key: str | None
    base_url: str | None
    retry: RetryPolicy
    throttle: Throttle | None
    timeouts: Timeouts
    limits: AudioLimits | None
    on_event: Callable[[Event], object] | None
    allow_http: bool


@frozen
class Settings:
    """What a client was told; ``attrs.evolve`` checks what it changes.

    Raises:
        ConfigurationError: There is no key, the address is invalid, or an option is of the wrong kind.
    """

    api_key: Secret = field(converter=origin.key)
    base_url: URL = field(converter=origin.base_url)
    retry: RetryPolicy = field(validator=kind(RetryPolicy))
    timeouts: Timeouts = field(validator=kind(Timeouts))
    limits: AudioLimits | None = field(validator=kind(AudioLimits, or_none=True))
    on_event: Callable[[Event], object] | None = field(validator=callback)
    allow_http: bool

    def __attrs_post_init__(self) -> None:
        if not self.allow_http:
            origin.check_encrypted(self.base_url)

    @property
    def origin(self) -> Origin:
        """The key and where it goes: what tells accounts apart."""
        return Origin(self.api_key, self.base_url)
