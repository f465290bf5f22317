"""What a client can be told, and what of that is refused before it could do harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import aiohttp

from siliconflow_voice.audio.checks import AudioLimits
from siliconflow_voice.calls.events import Event
from siliconflow_voice.calls.retry import RetryPolicy
from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.transport.session import Timeouts
from siliconflow_voice.validation import check_callback

__all__ = ["ClientOptions", "check_options"]

_KINDS: dict[str, tuple[type, ...]] = {
    "session": (aiohttp.ClientSession, type(None)),
    "retry": (RetryPolicy,),
    "throttle": (Throttle, type(None)),
    "timeouts": (Timeouts,),
    "limits": (AudioLimits, type(None)),
}


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


def check_options(*, on_event: object, **options: object) -> None:
    """Refuse options of the wrong kind, which would fail in the middle of an upload.

    Raises:
        ConfigurationError: With the option's name.
    """
    for name, value in options.items():
        kinds = _KINDS[name]
        if not isinstance(value, kinds):
            expected = kinds[0].__name__ + (" or None" if len(kinds) > 1 else "")
            raise ConfigurationError(f"{name} takes {expected}, not {type(value).__name__}")
    check_callback("on_event", on_event)
