"""When a call must be over: counted from its beginning, or from its first turn at the throttle."""

from __future__ import annotations

from attrs import define, field

__all__ = ["Deadline"]


@define(eq=False)
class Deadline:
    """The loop's time by which a call has to end.

    It starts with :meth:`begin`. Until then, and without *seconds*, there is no bound.
    """

    seconds: float | None
    """How long the call may take; None for no bound."""
    reserve: float = 0.0
    """Seconds at its end in which nothing is sent: time to look up the outcome of the last attempt."""
    at: float | None = field(default=None, init=False)
    """The loop's time at which the call must end, or None."""

    @classmethod
    def by(cls, at: float | None) -> Deadline:
        """Return a deadline that has started, and ends *at* a time of the loop's; None for no bound."""
        deadline = cls(None)
        deadline.at = at
        return deadline

    def begin(self, now: float) -> None:
        """Start the deadline, unless it has started."""
        if self.at is None and self.seconds is not None:
            self.at = now + self.seconds

    @property
    def last_attempt(self) -> float | None:
        """The loop's time at which attempts and the waits between them must end, or None."""
        return None if self.at is None else self.at - self.reserve
