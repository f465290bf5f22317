"""When a call must be over: counted from its beginning, or from its first turn at the throttle."""

from __future__ import annotations

from attrs import define, field

__all__ = ["Deadline"]


@define(eq=False)
class Deadline:
    """The loop's time by which a call has to end.

    It runs from :meth:`begin` on. Until then, and where there are no *seconds*, there is no bound.
    """

    seconds: float | None
    """How long the call may take; None for no bound."""
    reserve: float = 0.0
    """Seconds at its end in which nothing is sent: time to find out what became of the last attempt."""
    at: float | None = field(default=None, init=False)
    """The end of all, or None."""

    @classmethod
    def by(cls, at: float | None) -> Deadline:
        """Make one that runs already, and ends *at* a time of the loop's; None for no bound."""
        deadline = cls(None)
        deadline.at = at
        return deadline

    def begin(self, now: float) -> None:
        """Let the time run, unless it does already."""
        if self.at is None and self.seconds is not None:
            self.at = now + self.seconds

    @property
    def last_attempt(self) -> float | None:
        """The end of attempts and of the waits between them, or None."""
        return None if self.at is None else self.at - self.reserve
