"""Validators that say which figure of a policy is of no use, as errors of the SDK's own."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any, get_args

from attrs import Attribute

from siliconflow_voice.errors import ConfigurationError, InvalidUploadError

__all__ = [
    "at_least_one",
    "at_least_one_or_none",
    "check_callback",
    "check_choice",
    "positive",
    "positive_or_none",
]


def positive(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Take numbers above 0."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise ConfigurationError(
            f"{type(instance).__name__}({attribute.name}=…) takes a number above 0, not {value!r}"
        )


def positive_or_none(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Take numbers above 0, and None for no bound."""
    if value is not None:
        positive(instance, attribute, value)


def at_least_one(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Take whole numbers from 1."""
    if not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"{type(instance).__name__}({attribute.name}=…) takes a whole number from 1, not {value!r}"
        )


def at_least_one_or_none(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Take whole numbers from 1, and None for no limit."""
    if value is not None:
        at_least_one(instance, attribute, value)


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
