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
from siliconflow_voice.transport.pasted import APIKey
from siliconflow_voice.transport.proxy import Proxy
from siliconflow_voice.transport.timeouts import Timeouts
from siliconflow_voice.validation import at_least_one, callback, kind

__all__ = ["MAX_LIST_BYTES", "ClientOptions", "Settings"]

MAX_LIST_BYTES = 256 << 20


class ClientOptions(TypedDict, total=False):
    """The options that :meth:`VoiceClient.with_options` accepts: arguments of :class:`VoiceClient`."""

    api_key: APIKey | None
    base_url: str | None
    retry: RetryPolicy
    throttle: Throttle | None
    timeouts: Timeouts
    limits: AudioLimits | None
    on_event: Callable[[Event], object] | None
    allow_http: bool
    max_list_bytes: int
    proxy: str | None
    trust_env: bool


@frozen
class Settings:
    """The options of a client; ``attrs.evolve`` validates what it changes.

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
    max_list_bytes: int = field(validator=at_least_one)
    proxy: str | None = field(repr=False)
    trust_env: bool

    def __attrs_post_init__(self) -> None:
        if not self.allow_http:
            origin.check_encrypted(self.base_url)
        self.way()  # an address that is not one is refused now, not at the first request

    def way(self) -> Proxy | None:
        """Return the proxy that requests go through, or None.

        Raises:
            ConfigurationError: Its address is invalid.
        """
        return Proxy.of(self.proxy, trust_env=self.trust_env, target=self.base_url)

    @property
    def origin(self) -> Origin:
        """The key and its address, by which accounts are told apart."""
        return Origin(self.api_key, self.base_url)
