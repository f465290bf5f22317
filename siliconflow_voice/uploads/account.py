"""What clients share: an account's things (one key at one address) among its own, the process's among all."""

from __future__ import annotations

import asyncio
import itertools
from weakref import WeakValueDictionary

from attrs import field, frozen

from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.calls.draining import Calls
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.transport.session import Connection
from siliconflow_voice.uploads.recovery import KnownVoices, Likeness

__all__ = ["Account", "Process"]


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
        return Account(self.throttle.another())


@frozen(eq=False)
class Process:
    """What a client and all of its siblings share: connections, threads, the calls and their numbers."""

    connection: Connection
    pool: ReadPool = field(factory=ReadPool)
    numbers: itertools.count[int] = field(factory=lambda: itertools.count(1))
    calls: Calls = field(factory=Calls)
