"""What belongs to one account, that is one key at one address, and is never shared with another."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from attrs import evolve, field, frozen

from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.uploads.recovery import KnownVoices, Likeness

__all__ = ["Account"]


@frozen(eq=False)
class Account:
    """What the clients of an account have in common."""

    throttle: Throttle
    known: KnownVoices = field(factory=KnownVoices)
    """The voices that it has."""
    ensuring: WeakValueDictionary[Likeness, asyncio.Lock] = field(
        factory=WeakValueDictionary["Likeness", asyncio.Lock]
    )
    """The voices that are being ensured."""

    def another(self) -> Account:
        """Return another account, with a throttle that is set up as this one's is and has learned nothing."""
        return Account(evolve(self.throttle))
