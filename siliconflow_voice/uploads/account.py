"""What belongs to one account (one key at one address), and is never shared with another."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from attrs import evolve, field, frozen

from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.uploads.recovery import KnownVoices, Likeness

__all__ = ["Account"]


@frozen(eq=False)
class Account:
    """What the clients of one account share."""

    throttle: Throttle
    known: KnownVoices = field(factory=KnownVoices)
    """The voices that the account has."""
    ensuring: WeakValueDictionary[Likeness, asyncio.Lock] = field(
        factory=WeakValueDictionary["Likeness", asyncio.Lock]
    )
    """The voices that are being ensured."""

    def another(self) -> Account:
        """Return another account, whose throttle has this one's settings and has learned nothing."""
        return Account(evolve(self.throttle))
