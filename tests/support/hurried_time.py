"""A loop whose seconds pass in 50 ms: for tests that wait a second or two for threads or processes besides.

Where only the loop is waited for, virtual time takes no time at all: see `virtual_time` and `patient_time`.
"""

from __future__ import annotations

import asyncio
import selectors

import pytest

_TIMES = 20

hurried_time = pytest.mark.asyncio(loop_factories=["hurried"])
"""Runs an async test, and its fixtures, in hurried time."""


class _HurriedSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout is None else timeout / _TIMES)


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock runs twenty times as fast."""

    def __init__(self) -> None:
        super().__init__(_HurriedSelector())

    def time(self) -> float:
        return super().time() * _TIMES
