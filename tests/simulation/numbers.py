"""Each number of the learning: what it does to the table when it is halved, and when it is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from attrs import frozen


@frozen
class Number:
    """A number with a name, and where it is."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    @contextmanager
    def times(self, factor: float) -> Iterator[None]:
        """Let it be so many times as much for a while."""
        module = import_module(f"siliconflow_voice.throttle.{self.module}")
        value = getattr(module, self.name)
        setattr(module, self.name, type(value)(value * factor))
        try:
            yield
        finally:
            setattr(module, self.name, value)


OPENING = [Number("opening", name) for name in ("AT_FIRST", "ROUND")]
LEARNING = [
    *(Number("phases", name) for name in ("EARLIEST", "APART", "LATEST", "AGAIN", "AS_BEFORE", "PATIENCE")),
    *(Number("paced", name) for name in ("GROWTH", "CREEP", "BEFORE")),
]
OVERLOAD = [
    Number("overload", name)
    for name in (
        "DECREASE",
        "THRESHOLD",
        "SOME",
        "FIRST_REST",
        "LONGEST_REST",
        "BUDGET",
        "EARNED_BY_SUCCESS",
        "EARNED_BY_SECOND",
    )
]
