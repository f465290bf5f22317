"""Validators of options and policies, whose errors are the SDK's own."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, get_args

from attrs import Attribute

from siliconflow_voice.errors import ConfigurationError, InvalidUploadError

__all__ = [
    "at_least_one",
    "at_least_one_or_none",
    "callback",
    "check_callback",
    "check_choice",
    "check_kind",
    "kind",
    "positive",
    "positive_or_none",
]


def positive(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Accept numbers above 0."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise ConfigurationError(f"{_place(instance, attribute)} must be a number above 0, got {value!r:.80}")


def positive_or_none(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Accept numbers above 0, and None for no bound."""
    if value is not None:
        positive(instance, attribute, value)


def at_least_one(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Accept whole numbers from 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"{_place(instance, attribute)} must be a whole number, got {value!r:.80}")
    if value < 1:
        raise ConfigurationError(f"{_place(instance, attribute)} must be at least 1, got {value}")


def at_least_one_or_none(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Accept whole numbers from 1, and None for no limit."""
    if value is not None:
        at_least_one(instance, attribute, value)


def kind(expected: type, *, or_none: bool = False) -> Callable[[object, Attribute[Any], Any], None]:
    """Return a validator that accepts instances of one class."""

    def validate(_instance: object, attribute: Attribute[Any], value: Any) -> None:
        check_kind(attribute.name, value, expected, or_none=or_none)

    return validate


def callback(_instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Accept plain functions, and None."""
    check_callback(attribute.name, value)


def check_kind(name: str, value: object, expected: type, *, or_none: bool = False) -> None:
    """Refuse an option of the wrong kind, which would fail in the middle of an upload.

    Raises:
        ConfigurationError: With the option's name.
    """
    if not isinstance(value, expected) and not (or_none and value is None):
        wanted = f"{expected.__name__} or None" if or_none else expected.__name__
        raise ConfigurationError(f"{name} must be {wanted}, got {type(value).__name__}")


def check_callback(name: str, value: object) -> None:
    """Refuse a coroutine function: it would never be awaited.

    Raises:
        ConfigurationError: It is one, or can't be called.
    """
    if value is None:
        return
    # An object may have a coroutine function for its call.
    if not callable(value) or iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
        raise ConfigurationError(f"{name} must be a plain function, got {value!r:.80}")


def check_choice(name: str, value: object, choices: Any) -> None:
    """Refuse what is not one of a Literal's choices.

    Raises:
        InvalidUploadError: With the argument's name and the choices.
    """
    if value not in get_args(choices):
        raise InvalidUploadError(
            name, f"{value!r:.80} is not one of {', '.join(get_args(choices))}", rule="choice"
        )


def _place(instance: object, attribute: Attribute[Any]) -> str:
    return f"{type(instance).__name__}.{attribute.name}"
