"""What holds uploads back at the moment, all models taken together."""

from __future__ import annotations

from attrs import frozen

from siliconflow_voice.throttle.throttle import Throttle

__all__ = ["Gates", "gates_of"]


@frozen
class Gates:
    """What the throttle's gates say together."""

    begun: bool = False
    """Whether an upload has come to any of them."""
    in_flight: int = 0
    waiting: int = 0
    opens_in: float = 0.0
    """Seconds until the last of them opens before which somebody waits."""
    limit: float | None = None
    """Requests a minute."""
    tokens: float | None = None
    """Tokens a minute."""

    @property
    def closed(self) -> bool:
        """Whether somebody waits for quota, and not just for a turn."""
        return bool(self.waiting) and self.opens_in >= 1


def gates_of(throttle: Throttle) -> Gates:
    """Sum up the gates that uploads pass. To be called within the loop."""
    gates = [gate for gate in throttle.snapshot() if gate.model]
    minute = 60.0 / throttle.window
    return Gates(
        begun=bool(gates),
        in_flight=sum(gate.in_flight for gate in gates),
        waiting=sum(gate.waiting for gate in gates),
        opens_in=max((gate.opens_in for gate in gates if gate.waiting), default=0.0),
        limit=_sum([gate.requests_per_window for gate in gates], minute),
        tokens=_sum([gate.tokens_per_window for gate in gates], minute),
    )


def _sum(limits: list[float | None], minute: float) -> float | None:
    known = [limit for limit in limits if limit is not None]
    return sum(known) * minute if known else None
