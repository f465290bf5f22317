"""What can go wrong on purpose: faults named by what they do, and the plan of which request meets which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar, get_args

from attrs import define, evolve, field, frozen

from siliconflow_voice.emulator.answers import Answer, default_answer

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping
    from typing import Unpack

    from siliconflow_voice.emulator.records import Endpoint

__all__ = [
    "CloseIdle",
    "Delay",
    "DropAnswer",
    "Fault",
    "FaultPlan",
    "ResetAfter",
    "ReturnStatus",
    "StallAfter",
    "StallAnswer",
    "TrickleAnswer",
    "TruncateAnswer",
]


@frozen
class ReturnStatus:
    """Answer with this instead of the real answer."""

    answer: Answer


@frozen
class Delay:
    """Answer late."""

    seconds: float


@frozen
class StallAfter:
    """Stop reading."""

    bytes_: int


@frozen
class ResetAfter:
    """Reset the connection while the request is read."""

    bytes_: int


@frozen
class DropAnswer:
    """Close the connection instead of answering."""


@frozen
class TruncateAnswer:
    """Close the connection within the answer's body."""

    keep_bytes: int


@frozen
class StallAnswer:
    """Hold the connection within the answer's body."""

    keep_bytes: int


@frozen
class TrickleAnswer:
    """Send the answer's body byte by byte."""

    seconds_per_byte: float


@frozen
class CloseIdle:
    """Close the connection once it has been idle behind the answer."""

    seconds: float


Action = (
    ReturnStatus
    | Delay
    | StallAfter
    | ResetAfter
    | DropAnswer
    | TruncateAnswer
    | StallAnswer
    | TrickleAnswer
    | CloseIdle
)

_Target = Literal["upload", "list", "delete", "speech", "transcribe", "models", "any"]

_Number = TypeVar("_Number", int, float)


class Aim(TypedDict, total=False):
    """The keywords that each of `Fault`'s factories accepts."""

    times: int | None
    share: float
    endpoint: _Target


@frozen
class Fault:
    """A fault, created by one of the class methods, which all accept these keywords too.

    ``times`` (1): how many requests meet it, None for all. ``share`` (1.0): the fraction, drawn at random, of
    the matching requests that meet it. ``endpoint`` (``"upload"``): ``"upload"``, ``"list"``, ``"delete"``,
    ``"speech"``, ``"transcribe"``, ``"models"`` or ``"any"`` of them.

    Example::

        Fault.return_status(503, times=None, share=0.1)  # every tenth upload, roughly, is overloaded
        Fault.drop_answer()  # the next upload is stored and never answered
    """

    name: str
    """The call that created it, for messages."""
    action: Action
    times: int | None = 1
    share: float = 1.0
    endpoint: _Target = "upload"

    def __attrs_post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be at least 1 or None, got {self.times!r:.80}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {self.share!r:.80}")
        if self.endpoint not in get_args(_Target):
            choices = ", ".join(map(repr, get_args(_Target)))
            raise ValueError(f"endpoint must be one of {choices}, got {self.endpoint!r:.80}")

    def __str__(self) -> str:
        return f"{self.name} on {self.endpoint}"

    @classmethod
    def return_status(
        cls,
        status: int,
        *,
        code: int | None = None,
        message: str | None = None,
        body: str | bytes | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        **aim: Unpack[Aim],
    ) -> Fault:
        """Read the request, store nothing, and answer ``status`` (200 to 599).

        Without a ``body`` the answer is the vendor's own for that status, with ``code`` and ``message``.
        A ``body`` is sent as it is, as JSON unless ``content_type`` is passed. The quota does not count it.
        """
        if not 200 <= status <= 599:
            raise ValueError(f"status must be from 200 to 599, got {status!r:.80}")
        answer = default_answer(status, code=code, message=message)
        if body is not None:
            raw = body.encode() if isinstance(body, str) else body
            answer = Answer(status, raw, code)
        answer = evolve(
            answer,
            content_type=content_type or answer.content_type,
            headers=tuple((headers or {}).items()),
        )
        return cls(f"return_status({status})", ReturnStatus(answer), **aim)

    @classmethod
    def delay(cls, seconds: float, **aim: Unpack[Aim]) -> Fault:
        """Process the request at once and answer it ``seconds`` later."""
        return cls(f"delay({seconds})", Delay(_at_least_0("seconds", seconds)), **aim)

    @classmethod
    def stall_after(cls, bytes_: int, **aim: Unpack[Aim]) -> Fault:
        """Stop reading after ``bytes_`` of the body and hold the connection until the client leaves.

        Some more bytes fit into the buffers of both machines. A client that leaves while its data is stuck
        there can't be told from one that waits, and is held until the emulator closes.
        """
        return cls(f"stall_after({bytes_})", StallAfter(_at_least_0("bytes_", bytes_)), **aim)

    @classmethod
    def reset_after(cls, bytes_: int, **aim: Unpack[Aim]) -> Fault:
        """Reset the connection (TCP RST) after ``bytes_`` of the body, or all of it if it is shorter."""
        return cls(f"reset_after({bytes_})", ResetAfter(_at_least_0("bytes_", bytes_)), **aim)

    @classmethod
    def drop_answer(cls, **aim: Unpack[Aim]) -> Fault:
        """Process the request, storing what it brings, and close the connection without an answer."""
        return cls("drop_answer()", DropAnswer(), **aim)

    @classmethod
    def truncate_answer(cls, keep_bytes: int = 8, **aim: Unpack[Aim]) -> Fault:
        """Process the request, announce the whole answer, send ``keep_bytes`` of its body, and close."""
        action = TruncateAnswer(_at_least_0("keep_bytes", keep_bytes))
        return cls(f"truncate_answer({keep_bytes})", action, **aim)

    @classmethod
    def stall_answer(cls, keep_bytes: int = 8, **aim: Unpack[Aim]) -> Fault:
        """Process the request, send ``keep_bytes`` of the answer's body, and hold the connection."""
        action = StallAnswer(_at_least_0("keep_bytes", keep_bytes))
        return cls(f"stall_answer({keep_bytes})", action, **aim)

    @classmethod
    def trickle_answer(cls, seconds_per_byte: float, **aim: Unpack[Aim]) -> Fault:
        """Process the request and send the answer's body one byte every ``seconds_per_byte``."""
        action = TrickleAnswer(_at_least_0("seconds_per_byte", seconds_per_byte))
        return cls(f"trickle_answer({seconds_per_byte})", action, **aim)

    @classmethod
    def close_idle(cls, seconds: float = 0.0, **aim: Unpack[Aim]) -> Fault:
        """Answer as usual, and close the connection once it has been idle for ``seconds``.

        With 0, it is closed right behind the answer. Nothing in the answer says so, as with a proxy's idle
        timeout. Another request on the connection, within that time, keeps it open.
        """
        return cls(f"close_idle({seconds})", CloseIdle(_at_least_0("seconds", seconds)), **aim)


@define
class _Order:
    fault: Fault
    met: int = 0

    @property
    def least(self) -> int:
        certain = self.fault.share == 1.0
        return self.fault.times if certain and self.fault.times is not None else 1


@define
class FaultPlan:
    """The faults in order of precedence, and how often each was met."""

    _random: random.Random
    _orders: list[_Order] = field(init=False, factory=list[_Order])

    def extend(self, faults: Iterable[Fault]) -> None:
        """Add these after the others."""
        self._orders.extend(_Order(fault) for fault in faults)

    def clear(self) -> None:
        """Remove all faults."""
        self._orders.clear()

    def pick(self, endpoint: Endpoint) -> Fault | None:
        """Return the first fault that a request to ``endpoint`` meets, and count it; None if none is due."""
        if endpoint == "unknown":
            return None
        for order in self._orders:
            fault = order.fault
            due = fault.times is None or order.met < fault.times
            if due and fault.endpoint in {endpoint, "any"} and self._random.random() < fault.share:
                order.met += 1
                return fault
        return None

    @property
    def met(self) -> tuple[tuple[Fault, int], ...]:
        """Each fault, and how many requests have met it."""
        return tuple((order.fault, order.met) for order in self._orders)

    @property
    def unmet(self) -> tuple[Fault, ...]:
        """The faults that were met less often than their ``times``.

        Of faults with a ``share`` or without a number of times, the ones that were never met.
        """
        return tuple(order.fault for order in self._orders if order.met < order.least)


def _at_least_0(name: str, value: _Number) -> _Number:
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value!r:.80}")
    return value
