"""How long a recording lasts, where that is known."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Length"]


@frozen
class Length:
    """The seconds of a recording, as a decoder puts them out."""

    seconds: float
    unsure: float = 0.0
    """How many of them may be what the encoder added, in front and behind, without saying so."""
