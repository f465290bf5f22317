"""Turns what was learned into a plain value, for JSON, and back: with ages in place of times.

The clock of the one that loads it may be another. A field whose name ends in ``_at`` or ``_until`` is a time.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

__all__ = ["dumped", "loaded"]

# What a throttle is told, and not what it learned; and what belongs to another object.
_SETTINGS = {"window", "declared", "capacity", "traffic"}


def dumped(value: attrs.AttrsInstance, now: float) -> dict[str, Any]:
    """Return an object of attrs as a value of JSON."""
    facts: dict[str, Any] = {"is": type(value).__name__}
    for field in attrs.fields(type(value)):
        if field.name not in _SETTINGS:
            origin = now if _is_time(field.name) else 0.0
            facts[field.name] = _dumped(getattr(value, field.name), origin, now)
    return facts


def loaded(facts: Mapping[str, Any], kinds: Iterable[type[Any]], now: float, **settings: Any) -> Any:
    """Return the object that was dumped: one of some kinds.

    Args:
        facts: What :func:`dumped` returned.
        kinds: The classes that it and what it holds may be of.
        now: The time of the clock that is read from here on.
        settings: What is not part of a dump.

    Raises:
        KeyError: It was dumped by another version.
    """
    kinds = tuple(kinds)
    kind = {kind.__name__: kind for kind in kinds}[facts["is"]]
    value = object.__new__(kind)
    for field in attrs.fields(kind):
        if field.name in _SETTINGS:
            object.__setattr__(value, field.name, settings[field.name])
            continue
        fact = facts[field.name]
        if isinstance(fact, dict):
            fact = loaded(cast("dict[str, Any]", fact), kinds, now, **settings)
        object.__setattr__(value, field.name, _shifted(fact, now if _is_time(field.name) else 0.0))
    return value


def _is_time(name: str) -> bool:
    return name.endswith(("_at", "_until"))


def _dumped(value: Any, origin: float, now: float) -> Any:
    if hasattr(value, "__attrs_attrs__"):
        return dumped(value, now)
    shifted = _shifted(value, -origin)
    if shifted == math.inf:
        return "inf"  # which JSON has no number for
    return list(cast("array[float]", shifted)) if isinstance(shifted, array) else shifted


def _shifted(value: Any, by: float) -> Any:
    """Return a fact with its times moved to another clock."""
    if value == "inf":
        return math.inf
    if isinstance(value, list | array):
        return array("d", [item + by for item in cast("list[float]", value)])
    return value + by if by else value
