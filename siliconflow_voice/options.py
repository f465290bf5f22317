"""What a client can be told, and what of that is refused before it could do harm."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, TypedDict, get_args

import aiohttp

from siliconflow_voice.audio.checks import AudioLimits
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError
from siliconflow_voice.events import Event
from siliconflow_voice.resilience.retry import RetryPolicy
from siliconflow_voice.resilience.throttle import Throttle
from siliconflow_voice.transport import Timeouts

__all__ = ["ClientOptions", "check_callback", "check_choice", "check_options"]

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


def check_callback(name: str, callback: object) -> None:
    """Refuse a coroutine function: it would never be awaited.

    Raises:
        ConfigurationError: It is one, or can't be called.
    """
    if callback is None:
        return
    # An object may have a coroutine function for its call.
    if (
        not callable(callback)
        or iscoroutinefunction(callback)
        or iscoroutinefunction(type(callback).__call__)
    ):
        raise ConfigurationError(f"{name} takes a plain function, not {callback!r}")


def check_choice(name: str, value: object, choices: Any) -> None:
    """Refuse what is none of a Literal's choices.

    Raises:
        InvalidUploadError: With the argument's name and the choices.
    """
    if value not in get_args(choices):
        raise InvalidUploadError(name, f"{value!r:.80} is none of {', '.join(get_args(choices))}")
